--- The story of README.md, as a host in Lua tells it: save data as tables, signals, coroutines.
--
--     luajit story.lua STORAGE-URL

local here = arg[0]:match("^(.*)tests[/\\]story[/\\]") or "../../"
package.path = here .. "bindings/lua/?.lua;" .. package.path

local ffi = require("ffi")
local sl = require("session_locker")

ffi.cdef("int poll(void *fds, unsigned long count, int milliseconds);")

local ANN, BEN, CLEO = "player/ann", "player/ben", "player/cleo"
local GOLD, HAT, GIFT, TITLE = 1, 2, 3, 9
local PATIENCE_S = 60

local function printf(text, ...)
    print(text:format(...))
end

-- ---- The save data: hooks --------------------------------------------------------------------

local function create_save_data()
    return { Gold = 0, Items = sl.array() }
end

local function coins_to_gold(data)
    if data.Coins == nil then
        error("there are no coins", 0)
    end
    data.Gold = data.Coins
    data.Coins = nil
    return 0.5
end

local function process_remote_change(_key, data, change)
    if change.K == "give_gold" then
        data.Gold = data.Gold + change.Amount
        return true
    end
    return false
end

-- What the hook said stands behind what the library says of it.
local function report_error(report)
    print("error: " .. (report.Message:match(": (there are no coins)$") or report.Message))
end

-- ---- The shop --------------------------------------------------------------------------------

-- `friend` chooses whom a gift goes to.
local function shop(friend)
    return function(op, call)
        local product, data = call.ReceiptInfo.ProductId, call.SaveData
        if op == "validate" then
            return product == GOLD or product == GIFT, product == GIFT and friend or nil
        elseif op == "apply" then
            data.Gold = data.Gold + (product == GOLD and 500 or 50)
            return true
        else
            data.Spent = (data.Spent or 0) + call.ReceiptInfo.CurrencySpent
        end
    end
end

-- ---- The servers -----------------------------------------------------------------------------

local function open_server(storage, name, seed)
    local builder = sl.MigratorBuilderCreate()
    builder:AddMigratorFrom(1, coins_to_gold)
    builder:CheckVersion(2)
    local migrators = builder:Build()
    builder:Destroy()
    local store = sl.EasyStoreCreate(storage, create_save_data, {
        JobId = name,
        Seed = seed,
        PlaceId = 7,
        SaveDataVersion = 2,
        SaveDataMigrators = migrators,
        ProcessRemoteChange = process_remote_change,
        ReportDataStoreError = report_error,
    })
    migrators:Destroy()
    return { name = name, store = store, later_s = 0 }
end

local function frame(server)
    server.store:Update(sl.Now() + server.later_s)
    ffi.C.poll(nil, 0, 1)
end

-- Runs frames of a server until something is so.
local function frames_until(server, is_so)
    local deadline = sl.Now() + PATIENCE_S
    while not is_so() do
        assert(sl.Now() < deadline, "what the story waits for never comes")
        frame(server)
    end
end

-- Calls a function that yields, and runs frames of a server until it has come back; gives what it gives.
local function frames_through(server, call)
    local is_over, result = false, nil
    sl.Spawn(function()
        result = call()
        is_over = true
    end)
    frames_until(server, function()
        return is_over
    end)
    return result
end

local function start(server, key, user_id)
    return server.store:StartSession(key, user_id and { UserIds = { user_id } })
end

local function until_loaded(server, profile)
    assert(frames_through(server, function()
        return profile:YieldUntilLoaded()
    end) == profile)
end

local function force_save(server, profile)
    profile:MarkForceSave()
    assert(frames_through(server, function()
        return profile:YieldUntilChangesSaved()
    end))
end

local function finish(server, profile)
    profile:EndSession()
    frames_until(server, function()
        return profile.IsFinished
    end)
end

-- ---- The story -------------------------------------------------------------------------------

local function put(storage, key, document, user_ids)
    local _, revision = storage:Fetch(key)
    assert(storage:Commit(key, document, revision, user_ids))
end

local function migrate(one)
    local ben = start(one, BEN, "ben")
    until_loaded(one, ben)
    printf("ben: loaded, %d gold", ben.data.Gold)

    local cleo = start(one, CLEO)
    assert(frames_through(one, function()
        return cleo:YieldUntilLoaded()
    end) == nil)
    printf("cleo: %s", cleo.LoadStatus)
    finish(one, cleo)
    print("cleo: finished")
    return ben
end

local function earn(one, ann)
    local data = ann.data
    data.Gold = data.Gold + 100
    data.Name = "Ann Ünal"
    data.Stats = sl.object()
    data.Stats.Level = 3
    data.Stats.Luck = 0.25
    data.Stats.Banned = false
    sl.insert(data.Items, "sword")
    sl.insert(data.Items, "bow")
    sl.remove(data.Items, 1)
    force_save(one, ann)
    printf("ann: saved, %d gold, %d item, the last one a %s", data.Gold, #data.Items,
        data.Items[#data.Items])
end

local function buy(one, process, ann, purchase_id, product, spent)
    local was_granted = frames_through(one, function()
        return ann:YieldUntilProductIsProcessedAndSaved(process, {
            PurchaseId = purchase_id,
            ProductId = product,
            PlayerId = "ann",
            CurrencySpent = spent,
        })
    end)
    return ("%s: %s"):format(purchase_id, was_granted and "granted" or "not granted")
end

local function buy_everything(one, ann, ben)
    local process = shop(ben)
    for _ = 1, 2 do
        printf("%s, %d gold", buy(one, process, ann, "p1", GOLD, 99), ann.data.Gold)
    end

    local credit_changes = ann.ProductCreditChanged:Connect(function(product, amount)
        printf("ann: credit of %d by %d", product, amount)
    end)
    printf("%s, %d gold", buy(one, process, ann, "p2", HAT, 150), ann.data.Gold)
    credit_changes:Disconnect()
    ann:ProductCreditGive(TITLE, 2)
    printf("ann: credit of 9: %d", ann:ProductCreditQuery(TITLE))
    printf("ann: used 3: %s", ann:ProductCreditUse(TITLE, 3) and "yes" or "no")
    printf("ann: used 1: %s", ann:ProductCreditUse(TITLE, 1) and "yes" or "no")

    printf("%s, ben has %d gold", buy(one, process, ann, "p3", GIFT, 20), ben.data.Gold)
end

local function send_mail(two)
    local outcome = frames_through(two, function()
        return two.store:YieldUntilRemoteChangesSent(ANN, {
            { K = "give_gold", Amount = 7 },
            { K = "dance" },
        }, { OperationId = "mail-1" })
    end)
    printf("mail-1: %s", outcome)
end

local function remote_change(one, two, ann)
    local before = ann.data.Gold
    send_mail(two)
    ann:MarkForceSave()
    frames_until(one, function()
        return ann.data.Gold ~= before
    end)
    printf("ann: %d gold", ann.data.Gold)
    force_save(one, ann)
    send_mail(two)
end

local function leave(one, ben)
    ben:SetBeforeSave(function(profile)
        profile.data.LastServer = "one"
    end)
    for _, name in ipairs({
        "Lifecycle", "Finished", "Destroyed", "Saved", "Replaced", "Loaded", "Reset", "Released", "Lost",
    }) do
        ben[name]:Connect(function()
            printf("ben: %s", name)
        end)
    end
    finish(one, ben)
end

-- Server one hangs; server two takes Ann over; server one wakes up.
local function lose(one, two, ann)
    ann.data.Gold = ann.data.Gold + 5
    local ann_on_two = start(two, ANN)
    frames_until(two, function()
        return ann_on_two.LoadStatus == "session_is_locked"
    end)
    print("server two: ann is session_is_locked")
    frame(two)
    two.later_s = 2000
    until_loaded(two, ann_on_two)
    printf("server two: ann: loaded, %d gold", ann_on_two.data.Gold)

    local is_lost = false
    ann.SaveDataLost:Connect(function(document)
        printf("ann: lost, with %d gold", document.Gold)
        is_lost = true
    end)
    ann:MarkForceSave()
    frames_until(one, function()
        return is_lost
    end)
    printf("ann: %d gold", ann.data.Gold)
    finish(one, ann)
    print("ann: finished")
    return ann_on_two
end

local function drain(server)
    local report = server.store:Drain(10)
    printf("%s: drained, %d unsaved, %d unsent", server.name, #report.Unsaved, #report.Unsent)
end

local function main(url)
    local storage = sl.StorageOpen(url)
    put(storage, BEN, '{"Version":1,"Coins":30,"Items":["shield"]}', { "ben" })
    put(storage, CLEO, '{"Version":1,"Items":[]}')
    local one, two = open_server(storage, "server one", 5), open_server(storage, "server two", 51)

    local ann = start(one, ANN, "ann")
    until_loaded(one, ann)
    printf("ann: loaded, %d gold", ann.data.Gold)
    local ben = migrate(one)
    earn(one, ann)
    buy_everything(one, ann, ben)
    remote_change(one, two, ann)
    leave(one, ben)
    local ann_on_two = lose(one, two, ann)

    ann_on_two.data.Gold = ann_on_two.data.Gold + 1
    drain(one)
    drain(two)
    one.store:Destroy()
    two.store:Destroy()
    storage:Destroy()
    printf("handles left: %d", sl.LiveHandles())
end

main(assert(arg[1], "the URL of a storage is needed"))
