--- Hooks: what they answer, and what becomes of their errors.

local check = require("check")
local memory = require("memory")
local sl = require("session_locker")

local test, equal, refused = check.test, check.equal, check.refused
local frames, until_so = check.frames, check.until_so

-- A store whose failures are listed.
local function store_with(given, storage)
    local reports = {}
    given.ReportDataStoreError = function(report)
        reports[#reports + 1] = report
    end
    local store, used = check.store(given, storage)
    return store, reports, used
end

local function put(storage, key, document)
    local _, revision = storage:Fetch(key)
    assert(storage:Commit(key, document, revision))
end

test("the create hook makes a document by what it returns, or by writing", function()
    local seen = check.list()
    local store = check.store({
        SaveDataCreator = function(key, data)
            seen(key)
            if key == "player/ann" then
                return { Gold = 1, Items = {} }
            end
            data.Gold = 2
        end,
    })
    equal(check.loaded(store, "player/ann").data.Gold, 1)
    equal(check.loaded(store, "player/ben").data.Gold, 2)
    check.contains(table.concat(seen, " "), "player/ann")
    store:Destroy()
end)

test("the creating function of the original's signature is enough", function()
    local store = sl.EasyStoreCreate(sl.StorageOpen("memory:"), function()
        return { Gold = 3 }
    end)
    equal(check.loaded(store).data.Gold, 3)
    store:Destroy()
end)

test("a create hook that fails is a load status, and its text is reported", function()
    local store, reports, storage = store_with({
        SaveDataCreator = function()
            error("no idea")
        end,
    })
    local profile = store:StartSession("player/ann")
    frames(store)
    equal(profile.LoadStatus, "create_failed")
    check.contains(reports[1].Message, "no idea")
    check.contains(reports[1].Message, "tests/lua/hooks.lua:")
    equal(reports[1].Activity, "create")
    equal(reports[1].Kind, "script")
    equal(storage:List(""), {})
    store:Destroy()
end)

test("errors of any kind become texts", function()
    local errors = {
        { 42, "42" },
        { setmetatable({}, { __tostring = function() return "an object" end }), "an object" },
        { setmetatable({}, { __tostring = function() error("x") end }), "no text" },
        { {}, "table" },
        { "b\255d Ünal", "b?d ??nal" },
        { nil, "nil" },
    }
    for _, one in ipairs(errors) do
        local store, reports = store_with({
            SaveDataCreator = function()
                error(one[1], 0)
            end,
        })
        store:StartSession("player/ann")
        frames(store)
        check.contains(reports[1].Message, one[2])
        store:Destroy()
    end
end)

test("what a hook returns that makes no document is its failure", function()
    local store, reports = store_with({
        SaveDataCreator = function()
            return { 1, 2 }
        end,
    })
    local profile = store:StartSession("player/ann")
    frames(store)
    equal(profile.LoadStatus, "create_failed")
    check.contains(reports[1].Message, "SL_ERROR_WRONG_TYPE")
    store:Destroy()
end)

test("migrators and patchers bring documents up to date", function()
    local builder = sl.MigratorBuilderCreate()
    builder:AddMigratorFrom(1, function(data)
        data.Gold = data.Coins
        data.Coins = nil
        return 0.5
    end):AddPatcherFor(2, function(data, version_patch)
        data.Patched = version_patch
        return version_patch + 1
    end)
    builder:CheckVersion(2)
    refused("SL_ERROR_MIGRATION", nil, builder.CheckVersion, builder, 3)
    refused("SL_ERROR_MIGRATION", nil, builder.AddMigratorFrom, builder, 1, print)
    refused("SL_ERROR_INVALID_ARGUMENT", "a version", builder.AddMigratorFrom, builder, 1.5, print)
    refused("SL_ERROR_INVALID_ARGUMENT", "a migrator", builder.AddMigratorFrom, builder, 4, {})
    local migrators, patchers = builder:Build()
    builder:Destroy()
    builder:Destroy()
    local storage = sl.StorageOpen("memory:")
    put(storage, "player/ann", '{"Version":1,"Coins":30}')
    put(storage, "player/ben", '{"Version":2,"VersionPatch":3,"Gold":4}')
    local store = check.store({
        SaveDataVersion = 2,
        SaveDataMigrators = migrators,
        SaveDataPatchers = patchers,
    }, storage)
    local data = sl.SaveDataParse('{"Version":1,"Coins":5}')
    migrators:Migrate(data, 2)
    equal(data.Gold, 5)
    equal(data.VersionPatch, 0.5)
    migrators:Destroy()
    local ann, ben = check.loaded(store, "player/ann"), check.loaded(store, "player/ben")
    equal(ann.data.Gold, 30)
    equal(ann.data.Coins, nil)
    equal(ann.data.VersionPatch, 0.5)
    equal(ben.data.Patched, 3)
    equal(ben.data.VersionPatch, 4)
    store:Destroy()
end)

test("a migrator that fails is a load status, and its text is reported", function()
    local builder = sl.MigratorBuilderCreate()
    builder:AddMigratorFrom(1, function()
        error("there are no coins", 0)
    end)
    local storage = sl.StorageOpen("memory:")
    put(storage, "player/ann", '{"Version":1}')
    local migrators = builder:Build()
    local data = sl.SaveDataParse('{"Version":1}')
    refused("SL_ERROR_MIGRATION", "there are no coins", migrators.Migrate, migrators, data, 2)
    local store, reports = store_with({ SaveDataVersion = 2, SaveDataMigrators = migrators }, storage)
    local profile = store:StartSession("player/ann")
    local failed = check.list()
    profile.Failed:Connect(function(event)
        failed(event.Activity, event.Message)
    end)
    frames(store)
    equal(profile.LoadStatus, "migration_failed")
    equal(#reports, 1)
    assert(reports[1].Message:find(": there are no coins$"), reports[1].Message)
    check.contains(failed[1], "migrate")
    check.contains(failed[1], "there are no coins")
    equal(storage:Fetch("player/ann").Bytes, '{"Version":1}')
    store:Destroy()
end)

test("a migrator that returns no version patch but something else has failed", function()
    local builder = sl.MigratorBuilderCreate()
    builder:AddMigratorFrom(1, function()
        return "0.5"
    end)
    refused("SL_ERROR_MIGRATION", "version patch", function()
        builder:Build():Migrate(sl.SaveDataParse('{"Version":1}'), 2)
    end)
end)

test("the hooks before a save are in it, in their order, and can be taken away", function()
    local store, storage = check.store()
    local profile = check.loaded(store)
    local heard = check.list()
    profile:SetBeforeSave(function(saved)
        assert(saved == profile)
        heard("before")
        saved.data.Order = "before"
    end)
    profile:SetBeforeSaveTransform(function(saved)
        heard("transform")
        saved.data.Order = saved.data.Order .. ", transform"
    end)
    profile:MarkForceSave()
    frames(store)
    equal(heard, { "before", "transform" })
    equal(check.stored(storage).Order, "before, transform")
    profile:SetBeforeSave(nil)
    profile:SetBeforeSaveTransform(nil)
    profile:MarkForceSave()
    frames(store)
    equal(#heard, 2)
    store:Destroy()
end)

test("a hook before a save that fails puts it off, is undone, and does not hold up the last save", function()
    local store, reports, storage = store_with({})
    local profile = check.loaded(store)
    profile:SetBeforeSave(function()
        profile.data.Half = true
        error("not now")
    end)
    profile.data.Gold = 5
    profile:MarkForceSave()
    frames(store)
    check.contains(reports[1].Message, "not now")
    equal(reports[1].Activity, "before_save")
    equal(reports[1].Key, "player/ann")
    equal(profile.data.Half, nil)
    equal(check.stored(storage).Gold, 0)
    profile:EndSession()
    frames(store)
    equal(check.stored(storage).Gold, 5)
    equal(check.stored(storage).Half, nil)
    store:Destroy()
end)

test("what was written before the load is merged into what was loaded", function()
    local storage = sl.StorageOpen("memory:")
    put(storage, "player/ann", '{"Version":1,"Gold":10}')
    local fails = false
    local store, reports = store_with({
        MergeOfflineSaveDataWithLoadedSaveData = function(key, offline, loaded)
            equal(key, "player/ann")
            loaded.Gold = loaded.Gold + offline.Gold
            if fails then
                error("they do not fit", 0)
            end
        end,
    }, storage)
    local profile = store:StartSession("player/ann")
    profile.data.Gold = 7
    frames(store)
    equal(profile.data.Gold, 17)
    profile:EndSession()
    frames(store)

    fails = true
    profile = store:StartSession("player/ann")
    profile.data.Gold = 100
    frames(store)
    equal(profile.IsLoaded, true)
    equal(profile.data.Gold, 17)
    check.contains(reports[1].Message, "they do not fit")
    equal(reports[1].Activity, "merge")
    store:Destroy()
end)

test("a hook cannot yield, and is told so; what it begins may", function()
    local begun
    local store, reports = store_with({})
    local profile = check.loaded(store)
    local heard = check.list()
    profile:SetBeforeSave(function()
        sl.Spawn(function()
            profile.Saved:Wait()
            heard("spawned")
        end)
        begun = true
        profile:YieldUntilChangesSaved()
    end)
    for _, in_coroutine in ipairs({ false, true }) do
        begun = false
        profile:MarkForceSave()
        if in_coroutine then
            check.later(100)
            sl.Spawn(frames, store)
        else
            frames(store)
        end
        equal(begun, true)
        check.contains(reports[#reports].Message, "cannot yield inside a hook")
    end
    equal(#reports, 2)
    profile:SetBeforeSave(nil)
    check.later(100)
    frames(store)
    equal(#heard > 0, true)
    store:Destroy()
end)

test("a bare yield in a hook is its failure too", function()
    local store, reports = store_with({
        SaveDataCreator = function()
            coroutine.yield()
        end,
    })
    store:StartSession("player/ann")
    sl.Spawn(frames, store)
    check.contains(reports[1].Message, "yield")
    store:Destroy()
end)

test("a draft is no more when its hook has returned", function()
    local kept
    local store = check.store({
        SaveDataCreator = function(_, data)
            kept = data
        end,
    })
    check.loaded(store)
    refused("SL_ERROR_INVALID_HANDLE", nil, function()
        return kept.Gold
    end)
    store:Destroy()
end)

test("a report names the error, the player and the activity, and can name nobody", function()
    local host = memory.new()
    local store, reports = store_with({ VerboseLogs = true }, host.storage)
    local profile = store:StartSession("player/ann", { UserIds = { "1001" }, LogPrefix = "[P]" })
    host.fails_with = "player/ann of 1001 is not to be had"
    frames(store)
    equal(profile.LoadStatus, "data_store_request_fail")
    local report = reports[1]
    equal(report.Activity, "load")
    equal(report.Kind, "backend")
    equal(report.VerboseLogs, true)
    equal(report.LogPrefix, "[P]")
    equal(report.Key, "player/ann")
    equal(report.UserIds, { "1001" })
    check.contains(report.Message, "player/ann of 1001 is not")
    check.contains(report.FilteredMessage, "{datastorekey} of {userid} is not")
    host.fails_with = nil
    check.later(100)
    until_so(store, function()
        return profile.IsLoaded
    end)
    store:Destroy()
end)

test("an error in an error report reaches the error handler", function()
    local store = check.store({
        SaveDataCreator = function()
            error("first")
        end,
        ReportDataStoreError = function(report)
            error("second, after: " .. report.Message)
        end,
    })
    store:StartSession("player/ann")
    frames(store)
    check.contains(check.take_problems()[1], "second, after")
    store:Destroy()
end)

test("hooks may call the library, and destroy their store, which goes at the end of the update", function()
    local store
    local heard = check.list()
    store = check.store({
        SaveDataCreator = function(key)
            if key == "player/ann" and #heard == 0 then
                heard("hook")
                store:StartSession("player/ben")
                store:Destroy()
                heard("gone", store.IsClosed)
            end
            return {}
        end,
    })
    local profile = store:StartSession("player/ann")
    frames(store, 1)
    equal(heard, { "hook", "gone false" })
    equal(store.IsClosed, true)
    equal(profile.IsFinished, true)
    refused("SL_ERROR_INVALID_HANDLE", "destroyed", store.Update, store)
end)

-- Calls a function that many levels deep.
local function descend(levels, body)
    if levels == 0 then
        return body()
    end
    return (descend(levels - 1, body))
end

local function nothing() end

test("where the stack is full, a call is an error, and none leaves a callback", function()
    local storage = memory.new()
    local fails = false
    local function hook()
        return fails and error("on purpose") or true
    end
    local store = check.store({ VerboseLogs = true, ReportDataStoreError = hook }, storage.storage)
    local profile = check.loaded(store)
    local pending = sl.DummyPPP_FromIds(hook, 1)
    sl.SetLogCallback(hook)
    local now = check.now()
    local ways = {
        function()
            profile:SetBeforeSave(hook)
            profile:MarkForceSave()
            now = now + 100
            store:Update(now)
        end,
        function()
            pending:Validate(profile)
        end,
        function()
            sl.LogErrorVariations("x", "y", "z")
        end,
        function()
            storage.storage:Fetch("k")
        end,
    }
    -- The deepest there is.
    local deepest = 0
    for step = 15, 0, -1 do
        local levels = deepest + 2 ^ step
        if pcall(descend, levels, nothing) then
            deepest = levels
        end
    end
    for _, way in ipairs(ways) do
        for round = 1, 2 do
            fails = round == 2
            storage.throws = fails and "on purpose" or nil
            local refusals = 0
            for levels = deepest - 120, deepest do
                refusals = refusals + (pcall(descend, levels, way) and 0 or 1)
            end
            assert(refusals > 0)
        end
    end
    fails, storage.throws = false, nil
    sl.SetLogCallback(nil)
    check.take_problems()
    check.later(now)
    frames(store, 100)
    equal(profile.IsLoaded, true)
    store:Destroy()
    storage.storage:Destroy()
end)

check.finish("hooks")
