--- LuaJIT ends the process when a compiled trace calls a C function that calls back into Lua. That shows
-- only when idle frames have been compiled, and the first event or hook comes later: so these frames
-- idle first.

local check = require("check")
local memory = require("memory")
local sl = require("session_locker")

local test, equal = check.test, check.equal

local IDLE_FRAMES = 10000

-- A frame of a game: updates in a loop that is compiled as far as it can be.
local function idle(source, now, count)
    local sum = 0
    for frame = 1, count or IDLE_FRAMES do
        source:Update(now + frame * 0.001)
        sum = sum + frame % 7
    end
    return now + (count or IDLE_FRAMES) * 0.001, sum
end

test("a store idles ten thousand frames before its first event and its first hook", function()
    local hooked, heard = check.list(), check.list()
    local store = check.store({
        SaveDataCreator = function(key)
            hooked(key)
            return { Gold = 0 }
        end,
        ProcessRemoteChange = function(_, data, change)
            data.Gold = data.Gold + change.Amount
            return true
        end,
        ReportDataStoreError = function() end,
    })
    local now = idle(store, 0)
    equal(#hooked, 0)
    local profile = store:StartSession("player/ann")
    profile.Loaded:Connect(function()
        heard("loaded")
    end)
    now = idle(store, now)
    equal(heard, { "loaded" })
    profile:SetBeforeSave(function()
        heard("before save")
        profile.data.Gold = profile.data.Gold + 1
    end)
    now = idle(store, now)
    profile:MarkForceSave()
    now = idle(store, now)
    equal(heard, { "loaded", "before save" })
    local outcome
    store:SendRemoteChanges("player/ann", { { K = "gold", Amount = 10 } }, {
        Callback = function(answer)
            outcome = answer
        end,
    })
    now = idle(store, now)
    profile:MarkForceSave()
    now = idle(store, now)
    equal(outcome, "sent")
    local granted
    profile:CallWhenProductIsProcessedAndSaved(function()
        return true
    end, { PurchaseId = "p", ProductId = 1 }, function(answer)
        granted = answer
    end)
    idle(store, now)
    equal(granted, true)
    store:Destroy()
end)

test("nothing but the way to the library keeps its update out of a loop that is compiled otherwise", function()
    local native = require("session_locker.native")
    local hooked, now = 0, 0
    local store = check.store({
        SaveDataCreator = function()
            hooked = hooked + 1
            return { Gold = 0 }
        end,
    })
    local update, handle = native.calls.easy_store_update, store._handle
    local function updates()
        for _ = 1, IDLE_FRAMES do
            now = now + 0.001
            native.check(update(handle, now))
        end
    end
    updates()
    equal(hooked, 0)
    store:StartSession("player/ann")
    updates()
    assert(hooked > 0)
    store:Destroy()
end)

test("a coroutine drives a store as well", function()
    local loaded
    local store = check.store()
    local now = 0
    local driver = coroutine.wrap(function()
        while true do
            now = idle(store, now, 200)
            coroutine.yield()
        end
    end)
    for _ = 1, 50 do
        driver()
    end
    local profile = store:StartSession("player/ann")
    sl.Spawn(function()
        loaded = profile:YieldUntilLoaded()
    end)
    for _ = 1, 50 do
        driver()
    end
    equal(loaded, profile)
    store:Destroy()
end)

test("a locker, a purchaser and a sender idle ten thousand frames before their first hook", function()
    local host = memory.new()
    local hooked = check.list()
    local spec = sl.LockerSpec({
        DataStore = host.storage,
        Seed = check.seed(),
        SaveDataCreator = function()
            hooked("create")
            return {}
        end,
        BeforeSave = function()
            hooked("before save")
        end,
    })
    local locker = sl.LockerCreate(spec, "player/ann")
    local purchaser = sl.ProductPurchaserCreate()
    local sender = sl.RemoteChangeSenderCreate(spec)
    local now = idle(locker, 0)
    idle(purchaser, 0)
    idle(sender, 0)
    locker:MarkShouldAcquire()
    now = idle(locker, now)
    equal(locker.LoadStatus, "loaded")
    locker:MarkForceSave()
    now = idle(locker, now)
    equal({ hooked[1], hooked[#hooked] }, { "create", "before save" })
    local granted, outcome
    purchaser:CallWhenProductIsProcessedAndSaved(locker, function()
        return true
    end, { PurchaseId = "p", ProductId = 1 }, function(answer)
        granted = answer
    end)
    for _ = 1, 100 do
        idle(purchaser, now, 1)
        now = idle(locker, now, 1)
    end
    equal(granted, true)
    sender:Send("player/ann", { { K = "x" } }, {
        Callback = function(answer)
            outcome = answer
        end,
    })
    idle(sender, now, 1000)
    idle(sender, now + 100, 100)
    equal(outcome, "sent")
    locker:MarkShouldRelease()
    idle(locker, now + 1000)
    locker:Destroy()
    sender:Destroy()
    purchaser:Destroy()
    spec:Destroy()
end)

test("calls that call back each time are made ten thousand times", function()
    local store = check.store()
    local profile = check.loaded(store)
    local calls = 0
    local pending = sl.DummyPPP_FromIds(function()
        calls = calls + 1
        return true
    end, 1)
    for _ = 1, IDLE_FRAMES do
        pending:Validate(profile)
    end
    equal(calls, IDLE_FRAMES)
    local host = memory.new()
    for _ = 1, IDLE_FRAMES do
        host.storage:Fetch("k")
    end
    equal(host.requests, IDLE_FRAMES)
    local builder = sl.MigratorBuilderCreate()
    builder:AddMigratorFrom(1, function(data)
        data.Calls = calls
    end)
    local migrators = builder:Build()
    for _ = 1, 2000 do
        migrators:Migrate(sl.SaveDataParse('{"Version":1}'), 2)
    end
    store:Destroy()
end)

test("logs and drops inside any call find no trace around them", function()
    local lines = 0
    local store = check.store({ VerboseLogs = true })
    local profile = check.loaded(store)
    for round = 1, 2 do
        if round == 2 then
            sl.SetLogCallback(function()
                lines = lines + 1
            end)
        end
        for at = 1, 2000 do
            profile:SetBeforeSave(function() end)
            profile.data.Gold = profile.data.Gold + 1
            profile:MarkShouldSave()
            profile:ProductCreditGive(1, 1)
            local wait = profile:WhenChangesSaved(function() end)
            wait:Disconnect()
            sl.LogErrorVariations("x", "y", "z")
            if at % 100 == 0 then
                profile:MarkForceSave()
                check.frames(store, 1)
            end
        end
    end
    sl.SetLogCallback(nil)
    assert(lines > 4 * 2000)
    store:Destroy()
end)

test("a collector that ends things in the middle of compiled loops does no harm", function()
    local sum = 0
    local data = sl.SaveDataCreate({ Gold = 0, T = {} })
    for at = 1, 20000 do
        data.Gold = at
        sum = sum + data.Gold
        if at % 50 == 0 then
            local builder = sl.MigratorBuilderCreate()
            builder:AddMigratorFrom(1, function()
                return sum
            end)
            sl.TableDeepCopy(data)
            sl.DummyPPP_FromIds(function() end, 1)
        end
    end
    collectgarbage()
    equal(sum, 20000 * 20001 / 2)
end)

-- What may be compiled is called as `C.NAME(…)`, or handed over as `C.NAME`: no hook, callback or drop runs
-- in these, for they read or write one save data, ask for a property, fill a struct, or free a text.
local NEVER_CALL_BACK = {
    "session_locker_last_error", "session_locker_status_name", "session_locker_version",
    "session_locker_live_handles", "session_locker_buffer_free", "session_locker_now",
    "session_locker_set_hook_error", "session_locker_request_error_kind", "session_locker_get_default", "session_locker_set_default",
    "save_data_get_", "save_data_set_", "save_data_add_i64", "save_data_append", "save_data_remove",
    "save_data_contains", "save_data_type", "save_data_length", "save_data_merge_patch",
    "save_data_apply_patch",
    "_init$", "profile_is_", "profile_get_", "profile_load_", "profile_set_save_data_json",
    "locker_is_", "locker_get_", "locker_load_", "locker_set_save_data_json", "locker_set_is_syncing",
    "product_credit_query", "locker_spec_query_config",
    "saved_connection_is_", "saved_connection_outcome", "drain_report_unsaved_count",
    "drain_report_unsent_count", "drain_report_get_",
}

test("no function that may call back is reached but through what keeps it out of traces", function()
    local folder = package.searchpath("session_locker", package.path):gsub("%.lua$", "")
    local files = io.popen(("ls '%s'/*.lua '%s.lua'"):format(folder, folder))
    local seen = 0
    for path in files:lines() do
        local file = io.open(path)
        local text = file:read("*a")
        file:close()
        for name in text:gmatch("[^%w_]C%.(%l[%w_]+)") do
            seen = seen + 1
            local is_allowed = false
            for _, pattern in ipairs(NEVER_CALL_BACK) do
                is_allowed = is_allowed or name:find(pattern) ~= nil
            end
            assert(is_allowed, path .. " reaches C." .. name)
        end
    end
    files:close()
    assert(seen > 50)
end)

check.finish("traces")
