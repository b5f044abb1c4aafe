--- Lockers, and the spec that they have in common.

local check = require("check")
local sl = require("session_locker")

local test, equal, refused = check.test, check.equal, check.refused
local frames, until_so = check.frames, check.until_so

local function spec_of(given, storage)
    storage = storage or sl.StorageOpen("memory:")
    local settings = { DataStore = storage, SaveDataTemplate = { Gold = 0 }, Seed = check.seed() }
    for name, value in pairs(given or {}) do
        settings[name] = value
    end
    return sl.LockerSpec(settings), storage
end

local function release(locker)
    locker:MarkShouldRelease()
    until_so(locker, function()
        return locker.IsIdling
    end)
end

test("a locker acquires, saves, releases, and is deleted", function()
    local spec, storage = spec_of()
    local locker = sl.LockerCreatePlayer(spec, 1001)
    equal(locker.Key, "1001")
    equal(locker.LoadStatus, "loading")
    equal(locker:SessionUpdate(check.now()), true)
    locker:MarkShouldAcquire()
    equal(locker.IsIdling, false)
    equal(locker:Update(check.now()), false)
    frames(locker)
    equal(locker.LoadStatus, "loaded")
    equal(locker.LoadMinimumServerVersion, 0)
    equal(locker:IsAvailable(), true)
    locker.SaveData.Gold = locker.data.Gold + 5
    locker:MarkShouldSave()
    locker:MarkForceSave()
    frames(locker)
    equal(check.stored(storage, "1001").Gold, 5)
    equal(storage:Fetch("1001").UserIds, { "1001" })
    refused("SL_ERROR_BUSY", nil, locker.Destroy, locker)
    release(locker)
    equal(locker.IsDeleted, false)
    locker:MarkDeleted()
    equal(locker.IsDeleted, true)
    equal(locker.LoadStatus, nil)
    equal(locker.LoadMinimumServerVersion, nil)
    equal(locker.IsIdling, false)
    equal(locker.IsSyncing, false)
    refused("SL_ERROR_NOT_ACTIVE", nil, locker.MarkShouldAcquire, locker)
    locker:Destroy()
    locker:Destroy()
    equal(locker.IsDeleted, true)
    equal(locker:IsAvailable(), false)
    refused("SL_ERROR_INVALID_HANDLE", "destroyed", locker.SessionUpdate, locker, 1)
    spec:Destroy()
end)

test("the listeners of the spec hear every locker, and signals the one", function()
    local heard = check.list()
    local spec = spec_of({
        Lifecycle = function(locker, status, reason)
            heard("spec", locker.Key, status, reason)
        end,
        LoadStatusChanged = function(locker, status)
            heard("spec", locker.Key, status)
        end,
        ProductCreditChanged = function(locker, product, amount)
            heard("spec", locker.Key, product, amount)
        end,
    })
    local locker = sl.LockerCreate(spec, "player/ann")
    locker.Loaded:Connect(function()
        heard("loaded")
    end)
    local kinds = check.list()
    locker.Event:Connect(function(event)
        kinds(event.Kind, event.Key, event.Owner == locker)
    end)
    locker.Deleted:Connect(function()
        heard("deleted")
    end)
    locker.Idling:Connect(function()
        heard("idling")
    end)
    locker:MarkShouldAcquire()
    frames(locker)
    locker:ProductCreditGive(3, 4)
    frames(locker)
    release(locker)
    frames(locker, 2)
    locker:Destroy()
    equal(kinds[1], "lifecycle player/ann true")
    local text = table.concat(heard, "; ")
    for _, part in ipairs({
        "loaded; spec player/ann replaced r_loaded; spec player/ann loaded",
        "spec player/ann 3 4",
        "spec player/ann saved nil; spec player/ann replaced r_released; spec player/ann loading",
        "idling; spec player/ann idling nil",
        "deleted; spec player/ann deleted nil",
    }) do
        check.contains(text, part)
    end
    spec:Destroy()
end)

test("a session is held for as long as a use key is, of any value", function()
    local spec = spec_of()
    local locker = sl.LockerCreate(spec, "player/ann")
    local key = {}
    for _, use_key in ipairs({ "shop", key, 7, true }) do
        locker:MarkShouldAcquire(use_key)
        locker:MarkShouldAcquire(use_key)
    end
    locker:MarkShouldAcquire()
    frames(locker)
    for _, use_key in ipairs({ "shop", key, 7, "never held" }) do
        locker:MarkShouldRelease(use_key)
        frames(locker)
        equal(locker:IsAvailable(), true)
    end
    locker:MarkShouldRelease()
    frames(locker)
    equal(locker:IsAvailable(), true)
    locker:MarkShouldRelease(true)
    frames(locker)
    equal(locker.IsIdling, true)
    locker:Destroy()
    spec:Destroy()
end)

test("a use key of 64 bits is known by its number", function()
    local spec = spec_of()
    local locker = sl.LockerCreate(spec, "player/ann")
    for _, digits in ipairs({ "7", "9007199254740993", "-1" }) do
        locker:MarkShouldAcquire(loadstring("return " .. digits .. "LL")())
        frames(locker)
        equal(locker:IsAvailable(), true)
        locker:MarkShouldRelease(loadstring("return " .. digits .. "LL")())
        frames(locker)
        equal(locker.IsIdling, true)
    end
    locker:MarkShouldAcquire(7LL)
    locker:MarkShouldRelease(7)
    frames(locker)
    equal(locker.IsIdling, true)
    locker:Destroy()
    spec:Destroy()
end)

test("the hooks of the spec run before each save of a locker", function()
    local heard = check.list()
    local spec, storage = spec_of({
        BeforeSave = function(locker)
            heard("before", locker.Key)
            locker.data.A = 1
        end,
        BeforeSaveTransform = function(locker)
            heard("transform", locker.Key)
            locker.data.B = locker.data.A + 1
        end,
    })
    local locker = sl.LockerCreate(spec, "player/ann")
    locker:MarkShouldAcquire()
    frames(locker)
    locker:MarkForceSave()
    frames(locker)
    equal(heard, { "before player/ann", "transform player/ann" })
    equal(check.stored(storage).B, 2)
    release(locker)
    locker:Destroy()
    spec:Destroy()
end)

test("IsSyncing is set and read, and makes a locker unavailable", function()
    local spec = spec_of()
    local locker = sl.LockerCreate(spec, "player/ann")
    locker:MarkShouldAcquire()
    frames(locker)
    equal(locker.IsSyncing, true)
    locker.IsSyncing = false
    equal(locker.IsSyncing, false)
    equal(locker:IsAvailable(), false)
    locker.IsSyncing = true
    equal(locker:IsAvailable(), true)
    equal(pcall(function()
        locker.IsSyncing = 1
    end), false)
    release(locker)
    locker:Destroy()
    spec:Destroy()
end)

test("waits of a locker are answered, in coroutines and blocking", function()
    local spec = spec_of()
    local locker = sl.LockerCreate(spec, "player/ann")
    locker:MarkShouldAcquire()
    frames(locker)
    local heard = check.list()
    sl.Spawn(function()
        locker.data.Gold = 1
        locker:MarkForceSave()
        heard(locker:YieldUntilChangesSaved())
    end)
    frames(locker)
    equal(heard, { "true saved" })
    locker.data.Gold = 2
    locker:MarkForceSave()
    equal(locker:WaitUntilChangesSaved(10), true)
    locker.data.Gold = 3
    local answer, problem = locker:WaitUntilChangesSaved(0)
    equal(answer, nil)
    equal(problem.Status, "SL_ERROR_TIMEOUT")
    locker:WhenChangesSaved(function(was_saved)
        heard(was_saved)
    end)
    release(locker)
    frames(locker, 1)
    equal(heard[2], "true")
    locker:Destroy()
    spec:Destroy()
end)

test("a locker may be destroyed by its own listener, at the end of its update", function()
    local spec = spec_of()
    local locker = sl.LockerCreate(spec, "player/ann")
    local heard = check.list()
    locker:MarkShouldAcquire()
    frames(locker)
    locker.Idling:Connect(function()
        refused("SL_ERROR_BUSY", "SessionUpdate", locker.SessionUpdate, locker, check.now())
        locker:Destroy()
        heard("destroyed", locker.IsDeleted)
    end)
    locker.Deleted:Connect(function()
        heard("deleted")
    end)
    locker:MarkShouldRelease()
    local should_remove
    for _ = 1, 30 do
        check.later(0.1)
        if rawget(locker, "_handle") ~= nil then
            should_remove = locker:SessionUpdate(check.now())
        end
    end
    equal(heard, { "destroyed true", "deleted" })
    equal(should_remove, false)
    equal(rawget(locker, "_handle"), nil)
    spec:Destroy()
end)

test("lockers go on when their spec is destroyed", function()
    local spec, storage = spec_of()
    local locker = sl.LockerCreate(spec, "player/ann")
    locker:MarkShouldAcquire()
    spec:Destroy()
    spec:Destroy()
    storage:Destroy()
    frames(locker)
    equal(locker:IsAvailable(), true)
    refused("SL_ERROR_INVALID_HANDLE", "spec", sl.LockerCreate, spec, "player/ben")
    release(locker)
    locker:Destroy()
end)

test("a spec knows what it was made with", function()
    local spec = spec_of({ SessionExpiry = 900, VerboseLogs = true, PurchaseHistoryLimit = 20 })
    equal(spec:QueryConfig("SessionExpiry"), 900)
    equal(spec:QueryConfig("VerboseLogs"), true)
    equal(spec:QueryConfig("ReadOnlyDataStores"), false)
    equal(spec:QueryConfig("PurchaseHistoryLimit"), 20)
    equal(spec:QueryConfig("MaintainSessionPeriod"), 300)
    refused("SL_ERROR_INVALID_ARGUMENT", "Nothing", spec.QueryConfig, spec, "Nothing")
    spec:Destroy()
end)

test("what is no spec is refused by name", function()
    local storage = sl.StorageOpen("memory:")
    refused("SL_ERROR_INVALID_ARGUMENT", "DataStore", sl.LockerSpec, { SaveDataTemplate = {} })
    refused("SL_ERROR_INVALID_ARGUMENT", "Lifecycles", sl.LockerSpec,
        { DataStore = storage, SaveDataTemplate = {}, Lifecycles = print })
    refused("SL_ERROR_INVALID_ARGUMENT", "ReadOnlyDataStores", sl.LockerSpec,
        { DataStore = storage, SaveDataTemplate = {}, ReadOnlyDataStores = 1 })
    equal(require("session_locker.hooks").count(), 0)
end)

test("test data is shown under every key, and a read-only spec writes nothing", function()
    local spec, storage = spec_of({ DataStoreTestData = { Version = 1, Gold = 77 } })
    local locker = sl.LockerCreate(spec, "player/any")
    locker:MarkShouldAcquire()
    frames(locker)
    equal(locker.data.Gold, 77)
    release(locker)
    locker:Destroy()
    spec:Destroy()
    local other = spec_of({ ReadOnlyDataStores = true }, storage)
    locker = sl.LockerCreate(other, "player/ann")
    locker:MarkShouldAcquire()
    frames(locker)
    locker.data.Gold = 1
    release(locker)
    locker:Destroy()
    other:Destroy()
    equal(storage:List(""), {})
end)

test("a locker that is lost says so", function()
    local storage = sl.StorageOpen("memory:")
    local spec = spec_of(nil, storage)
    local locker = sl.LockerCreate(spec, "player/ann")
    locker:MarkShouldAcquire()
    frames(locker)
    locker.data.Gold = 5
    storage:Erase("player/ann")
    local lost
    locker.SaveDataLost:Connect(function(document)
        lost = document
    end)
    locker:MarkForceSave()
    frames(locker)
    equal(lost.Gold, 5)
    equal(locker.LoadStatus, "erased")
    equal(locker:GetLostSaveData().Gold, 5)
    locker.data = { Gold = 1 }
    equal(sl.decode(locker:GetSaveDataJson()).Gold, 1)
    locker:SetLogPrefix("[p]")
    release(locker)
    locker:Destroy()
    spec:Destroy()
end)

check.finish("lockers")
