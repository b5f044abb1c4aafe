--- A game server on the easy API, in the shape of a script for the original: players come and go, earn,
-- buy, and are saved; in the end the server is told to close.
--
--     luajit server.lua [STORAGE-URL]
--
-- Without a URL it is that of the environment variable SESSION_LOCKER_STORAGE, or a new SQLite database,
-- which is removed. The engine at the end stands for the original's platform: `Players`, `RunService` and
-- the like. What lies between is what a script has to do.

local here = arg[0]:match("^(.*)examples[/\\]") or "../"
package.path = here .. "?.lua;" .. package.path

local ffi = require("ffi")
local sl = require("session_locker")

local engine = {}

local function say(text, ...)
    print("  " .. text:format(...))
end

-- ---- The store -------------------------------------------------------------------------------

local storage, store

local function create_save_data(_key)
    return { Gold = 0, Visits = 0, Items = {} }
end

-- Gifts of gold from elsewhere, such as a moderator's page.
local function process_remote_change(key, data, change)
    if change.K ~= "give_gold" then
        return false
    end
    data.Gold = data.Gold + change.Amount
    say("%s is given %d gold by %s", key, change.Amount, change.From)
    return true
end

local function open_store(url)
    storage = sl.StorageOpen(url)
    store = sl.EasyStoreCreate(storage, create_save_data, {
        JobId = "lua server",
        ProcessRemoteChange = process_remote_change,
        ReportDataStoreError = function(report)
            say("%s has failed: %s", report.Activity, report.Message)
        end,
    })
end

-- ---- Players ---------------------------------------------------------------------------------

local profiles = {}

local function PlayerAdded(player)
    local profile = store:StartSession("player/" .. player.UserId, { UserIds = { player.UserId } })
    profiles[player] = profile
    profile.Saved:Connect(function()
        say("%s is saved", player.Name)
    end)
    profile.Lost:Connect(function()
        player:Kick("Your save data is used by another server.")
    end)

    if profile:YieldUntilLoaded() == nil then
        return player:Kick("Your save data could not be loaded.")
    end
    local data = profile:GetSaveData()
    data.Visits = data.Visits + 1
    say("%s is here for visit %d, with %d gold and %d items", player.Name, data.Visits, data.Gold, #data.Items)
end

local function PlayerRemoving(player)
    local profile = profiles[player]
    profiles[player] = nil
    say("%s goes", player.Name)
    profile:EndSession()
    profile.Finished:Wait()
    say("%s is released: another server may load them now", player.Name)
end

local function find_treasure(player)
    local profile = profiles[player]
    -- Only what will be saved may be given out.
    if profile:IsAvailable() then
        profile.data.Gold = profile.data.Gold + 100
        sl.insert(profile.data.Items, { Id = "ring", Shine = 0.5 })
        say("%s finds a treasure, and has %d gold", player.Name, profile.data.Gold)
    end
end

-- ---- Products --------------------------------------------------------------------------------

local PURSE, TITLE = 11, 12

local function process_product(op, call)
    if op == "validate" then
        return call.ReceiptInfo.ProductId == PURSE
    elseif op == "apply" then
        call.SaveData.Gold = call.SaveData.Gold + 500
        return true
    end
end

-- The platform asks until it is told that the purchase is granted.
local function ProcessReceipt(receipt)
    local profile = profiles[engine.Players:GetPlayerByUserId(receipt.PlayerId)]
    if profile == nil then
        return "NotProcessedYet"
    end
    local was_granted = profile:YieldUntilProductIsProcessedAndSaved(process_product, receipt)
    return was_granted and "PurchaseGranted" or "NotProcessedYet"
end

-- ---- The server ------------------------------------------------------------------------------

local function Heartbeat()
    store:Update(sl.Now())
end

local function BindToClose()
    local report = store:Drain(10)
    for _, unsaved in ipairs(report.Unsaved) do
        say("%s is not saved (%s): %s", unsaved.Key, unsaved.Outcome, unsaved.Reason)
    end
    say("the server is closed, %d players are not saved", #report.Unsaved)
end

-- ---- The engine ------------------------------------------------------------------------------

ffi.cdef("int poll(void *fds, unsigned long count, int milliseconds);")

local Player = {}
Player.__index = Player

function Player:Kick(reason)
    say("%s is sent away: %s", self.Name, reason)
end

engine.Players = { _here = {} }

function engine.Players:GetPlayerByUserId(user_id)
    return self._here[user_id]
end

function engine.Players:Join(name, user_id)
    local player = setmetatable({ Name = name, UserId = user_id }, Player)
    self._here[user_id] = player
    sl.Spawn(PlayerAdded, player)
    return player
end

function engine.Players:Leave(player)
    self._here[player.UserId] = nil
    sl.Spawn(PlayerRemoving, player)
end

-- Heartbeats, until something is so.
function engine.run_until(is_so)
    local deadline = sl.Now() + 10
    while not is_so() do
        assert(sl.Now() < deadline, "the engine waits for something that never comes")
        Heartbeat()
        ffi.C.poll(nil, 0, 5)
    end
end

function engine.run(frames)
    local frame = 0
    engine.run_until(function()
        frame = frame + 1
        return frame > frames
    end)
end

function engine.buy(player, product_id, purchase_id)
    local answer
    sl.Spawn(function()
        answer = ProcessReceipt({
            PlayerId = player.UserId,
            ProductId = product_id,
            PurchaseId = purchase_id,
            CurrencySpent = 99,
        })
    end)
    engine.run_until(function()
        return answer ~= nil
    end)
    say("%s buys product %d: %s", player.Name, product_id, answer)
end

local function play()
    local Players = engine.Players
    print("Two players come:")
    local ann, ben = Players:Join("Ann", 1001), Players:Join("Ben", 1002)
    engine.run(10)
    find_treasure(ann)

    print("\nAnn buys a purse, and the platform brings the receipt twice; a title must wait:")
    engine.buy(ann, PURSE, "receipt-1")
    engine.buy(ann, PURSE, "receipt-1")
    engine.buy(ann, TITLE, "receipt-2")
    say("Ann has %d gold, and %d title to come", profiles[ann].data.Gold,
        profiles[ann]:ProductCreditQuery(TITLE))

    print("\nBen goes, and is sent gold while he is away:")
    Players:Leave(ben)
    engine.run(10)
    local outcome
    sl.Spawn(function()
        outcome = store:YieldUntilRemoteChangesSent("player/1002",
            { { K = "give_gold", Amount = 25, From = "a moderator" } })
    end)
    engine.run_until(function()
        return outcome ~= nil
    end)
    say("the gold is %s", outcome)
    Players:Join("Ben", 1002)
    engine.run(10)

    print("\nThe server is told to close, with both of them still here:")
    BindToClose()
end

local function temporary_database()
    local path = os.tmpname()
    os.remove(path)
    return path .. ".db"
end

local url = arg[1] or os.getenv("SESSION_LOCKER_STORAGE")
local path = not url and temporary_database()
open_store(url or "sqlite:" .. path)
play()
store:Destroy()

print("\nWhat is stored:")
for _, key in ipairs(storage:List("player/")) do
    local document = sl.decode(storage:Fetch(key).Bytes)
    say("%s: %d gold, %d visits, %s", key, document.Gold, document.Visits,
        document.Session and "owned" or "free")
end
storage:Destroy()
if path then
    for _, ending in ipairs({ "", "-wal", "-shm", "-turn", "-write" }) do
        os.remove(path .. ending)
    end
end
