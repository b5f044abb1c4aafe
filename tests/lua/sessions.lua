--- Sessions: profiles, what they tell, and coroutines that wait for them.

local check = require("check")
local memory = require("memory")
local sl = require("session_locker")

local test, equal, refused = check.test, check.equal, check.refused
local frames, until_so = check.frames, check.until_so

test("a session loads, is written to, saved, and ends", function()
    local store, storage = check.store()
    local profile = store:StartSession("player/ann", { UserIds = { "ann", 12 } })
    equal(profile.Key, "player/ann")
    equal(profile.IsLoaded, false)
    equal(profile.IsActive, true)
    equal(profile.LoadStatus, "loading")
    equal(profile:IsAvailable(), false)
    frames(store)
    equal(profile.IsLoaded, true)
    equal(profile.LoadStatus, "loaded")
    equal(profile.LoadMinimumServerVersion, 0)
    equal(profile:IsAvailable(), true)
    equal(profile:GetSaveData(), profile.data)
    equal(profile.SaveData, profile.data)
    profile.data.Gold = profile.data.Gold + 10
    profile:EndSession()
    equal(profile.IsActive, false)
    frames(store)
    equal(profile.IsFinished, true)
    equal(profile.IsLoaded, false)
    equal(profile.LoadStatus, nil)
    equal(profile.LoadMinimumServerVersion, nil)
    equal(profile:IsAvailable(), false)
    equal(check.stored(storage).Gold, 10)
    equal(storage:Fetch("player/ann").UserIds, { "ann", "12" })
    store:Destroy()
end)

test("signals of one event fire deepest first, and those of a session in order", function()
    local store = check.store()
    local profile = store:StartSession("player/ann")
    local heard = check.list()
    for _, name in ipairs({
        "Lifecycle", "Replaced", "Reset", "Loaded", "Released", "Lost", "Saved", "Destroyed", "Finished",
        "LoadStatusChanged",
    }) do
        profile[name]:Connect(function(...)
            heard(name, ...)
        end)
    end
    until_so(store, function()
        return profile.IsLoaded
    end)
    profile:Destroy()
    until_so(store, function()
        return profile.IsFinished
    end)
    equal(heard, {
        "Loaded r_loaded", "Replaced r_loaded", "Lifecycle replaced r_loaded", "LoadStatusChanged loaded",
        "Destroyed nil", "Lifecycle destroyed nil",
        "Saved nil", "Lifecycle saved nil",
        "Released r_released", "Reset r_released", "Replaced r_released", "Lifecycle replaced r_released",
        "LoadStatusChanged loading",
        "Lifecycle idling nil", "Lifecycle deleted nil", "Finished nil",
    })
    store:Destroy()
end)

test("a session that is lost says so, with what was not saved", function()
    local storage = sl.StorageOpen("memory:")
    local one, two = check.store({ SessionRetryCooldown = 0.5 }, storage), check.store(nil, storage)
    local ann = check.loaded(one)
    local heard = check.list()
    local lost
    for _, name in ipairs({ "Lost", "Reset", "Replaced", "Lifecycle" }) do
        ann[name]:Connect(function(...)
            heard(name, ...)
        end)
    end
    ann.SaveDataLost:Connect(function(document)
        lost = document
        heard("SaveDataLost")
    end)
    ann.data.Gold = 5
    local was_saved, outcome = "?", "?"
    ann:WhenChangesSaved(function(...)
        was_saved, outcome = ...
        heard("answered")
    end)
    local taken = two:StartSession("player/ann")
    frames(two)
    equal(taken.LoadStatus, "session_is_locked")
    check.later(2000)
    until_so(two, function()
        return taken.IsLoaded
    end)
    equal(ann:GetLostSaveData(), nil)
    ann:MarkForceSave()
    until_so(one, function()
        return lost ~= nil
    end)
    equal(lost.Gold, 5)
    equal(ann:GetLostSaveData().Gold, 5)
    equal(ann.data.Gold, 0)
    equal(was_saved, false)
    equal(outcome, "not_saved")
    equal({ unpack(heard, 1, 6) }, {
        "SaveDataLost", "answered", "Lost r_lost", "Reset r_lost", "Replaced r_lost",
        "Lifecycle replaced r_lost",
    })
    one:Destroy()
    two:Destroy()
end)

test("a listener that is disconnected hears no more, and one of Once hears once", function()
    local store = check.store()
    local profile = check.loaded(store)
    local heard = check.list()
    local first
    first = profile.Saved:Connect(function()
        heard("first")
        first:Disconnect()
        first:Disconnect()
    end)
    local second = profile.Saved:Connect(function()
        heard("second")
    end)
    profile.Saved:Once(function()
        heard("once")
        profile.Saved:Once(function()
            heard("nested")
        end)
    end)
    local never = profile.Saved:Once(function()
        heard("never")
    end)
    never:Disconnect()
    for _ = 1, 3 do
        profile:MarkForceSave()
        frames(store)
    end
    equal(heard, { "first", "second", "once", "second", "nested", "second" })
    equal(first.Connected, false)
    equal(second.Connected, true)
    store:Destroy()
end)

test("a listener that is disconnected by another one during the same firing does not hear", function()
    local store = check.store()
    local profile = check.loaded(store)
    local heard = check.list()
    local second
    profile.Saved:Connect(function()
        heard("first")
        second:Disconnect()
    end)
    second = profile.Saved:Connect(function()
        heard("second")
    end)
    profile:MarkForceSave()
    frames(store)
    equal(heard, { "first" })
    store:Destroy()
end)

test("an error in a listener reaches the error handler with its traceback, and nobody else", function()
    local store = check.store()
    local profile = check.loaded(store)
    local heard = check.list()
    profile.Saved:Connect(function()
        error("first has failed")
    end)
    profile.Saved:Connect(function()
        heard("second")
    end)
    profile.Lifecycle:Connect(function(status)
        heard(status)
    end)
    profile:MarkForceSave()
    frames(store)
    local problems = check.take_problems()
    equal(#problems, 1)
    check.contains(problems[1], "first has failed")
    check.contains(problems[1], "tests/lua/sessions.lua:")
    check.contains(problems[1], "stack traceback")
    equal(heard, { "second", "saved" })
    equal(profile:IsAvailable(), true)
    store:Destroy()
end)

test("an error handler that fails is no end either", function()
    local before = sl.SetErrorHandler(function()
        error("no handler")
    end)
    local stderr, written = io.stderr, {}
    io.stderr = {
        write = function(_, ...)
            written[#written + 1] = table.concat({ ... })
        end,
    }
    sl.Spawn(function()
        error({})
    end)
    io.stderr = stderr
    sl.SetErrorHandler(before)
    check.contains(table.concat(written), "no handler")
    equal(#check.take_problems(), 0)
end)

test("YieldUntilLoaded suspends its coroutine until an update has loaded the profile", function()
    local store = check.store()
    local profile = store:StartSession("player/ann")
    local heard = check.list()
    sl.Spawn(function()
        heard("begin")
        equal(profile:YieldUntilLoaded(), profile)
        heard("loaded", profile.data.Gold)
        equal(profile:YieldUntilLoaded(), profile)
        heard("again")
    end)
    equal(heard, { "begin" })
    frames(store)
    equal(heard, { "begin", "loaded 0", "again" })
    store:Destroy()
end)

test("YieldUntilLoaded gives nil when the session ends, and when loading does not go on", function()
    local builder = sl.MigratorBuilderCreate()
    builder:AddMigratorFrom(1, function()
        error("no way", 0)
    end)
    local storage = sl.StorageOpen("memory:")
    local _, revision = storage:Fetch("player/bad")
    storage:Commit("player/bad", '{"Version":1}', revision)
    local store = check.store({
        SaveDataVersion = 2,
        SaveDataMigrators = builder:Build(),
        ReportDataStoreError = function() end,
    }, storage)
    local heard = check.list()
    local function wait(key)
        local profile = store:StartSession(key)
        sl.Spawn(function()
            heard(key, profile:YieldUntilLoaded(), profile.LoadStatus)
            heard(key, profile:YieldUntilLoaded())
        end)
        return profile
    end
    wait("player/bad")
    wait("player/ended"):EndSession()
    frames(store)
    table.sort(heard)
    equal(heard, {
        "player/bad nil", "player/bad nil migration_failed", "player/ended nil", "player/ended nil nil",
    })
    store:Destroy()
end)

test("WhenLoaded calls back once, also for a profile that is loaded, and never for one that is not", function()
    local store = check.store()
    local profile = store:StartSession("player/ann")
    local heard = check.list()
    profile:WhenLoaded(function(loaded)
        heard("first", loaded == profile)
    end)
    frames(store)
    profile:WhenLoaded(function()
        heard("second")
        profile:WhenLoaded(function()
            heard("third")
        end)
    end)
    equal(heard, { "first true" })
    frames(store, 1)
    equal(heard, { "first true", "second" })
    frames(store, 2)
    equal(heard, { "first true", "second", "third" })
    local ended = store:StartSession("player/ben")
    ended:WhenLoaded(function()
        heard("never")
    end)
    ended:EndSession()
    frames(store)
    equal(#heard, 3)
    store:Destroy()
end)

test("YieldUntilChangesSaved is answered by the save that has the changes", function()
    local store, storage = check.store()
    local profile = check.loaded(store)
    local answer
    sl.Spawn(function()
        profile.data.Gold = 7
        profile:MarkForceSave()
        answer = { profile:YieldUntilChangesSaved() }
        answer.stored = check.stored(storage).Gold
    end)
    equal(answer, nil)
    frames(store)
    equal(answer, { true, "saved" })
    equal(answer.stored, 7)
    store:Destroy()
end)

test("a wait can be looked at, answered by hand, and given up", function()
    local store = check.store()
    local profile = check.loaded(store)
    local heard = check.list()
    local function wait(name)
        return profile:WhenChangesSaved(function(was_saved, outcome)
            heard(name, was_saved, outcome)
        end)
    end
    profile.data.Gold = 1
    local by_hand, given_up, waits = wait("by hand"), wait("given up"), wait("waits")
    equal(by_hand.Connected, true)
    equal(by_hand.Saved, false)
    equal(by_hand.Outcome, nil)
    by_hand:Trigger(true)
    given_up:Disconnect()
    equal(given_up.Connected, false)
    given_up:Destroy()
    given_up:Trigger(true)
    frames(store)
    equal(heard, { "by hand true saved" })
    equal(by_hand.Saved, true)
    equal(by_hand.Connected, false)
    equal(by_hand.Outcome, "saved")
    equal(given_up.Outcome, nil)
    profile:MarkForceSave()
    frames(store)
    equal(heard[2], "waits true saved")
    equal(waits.Saved, true)
    waits:Destroy()
    store:Destroy()
end)

test("a wait that is given up while it is answered is no error, and all others are answered", function()
    local store = check.store()
    local profile = check.loaded(store)
    local heard = check.list()
    profile.data.Gold = 1
    local connection = profile:WhenChangesSaved(function()
        heard("given up")
    end)
    profile:WhenChangesSaved(function(was_saved)
        heard("kept", was_saved)
    end)
    store.Event:Connect(function(event)
        if event.Kind == "changes_saved" then
            connection:Disconnect()
        end
    end)
    profile:MarkForceSave()
    frames(store)
    equal(heard, { "kept true" })

    local waits, ends = {}, {}
    profile.data.Gold = 2
    for at = 1, 3 do
        waits[at] = profile:WhenChangesSaved(function(was_saved)
            heard("destroyed", was_saved)
            for _, wait in ipairs(waits) do
                wait:Disconnect()
            end
        end)
        ends[at] = store:StartSession("player/" .. at)
        sl.Spawn(function()
            heard("loaded", ends[at]:YieldUntilLoaded())
            for _, other in ipairs(ends) do
                other:EndSession()
            end
        end)
    end
    store:Destroy()
    table.sort(heard)
    equal(heard, { "destroyed false", "kept true", "loaded nil", "loaded nil", "loaded nil" })
end)

test("the answer comes between the signals of its save and those that follow", function()
    local store = check.store()
    local profile = check.loaded(store)
    local heard = check.list()
    profile.data.Gold = 1
    profile:WhenChangesSaved(function()
        heard("answered")
    end)
    profile:CallWhenProductIsProcessedAndSaved(function()
        return true
    end, { PurchaseId = "p", ProductId = 1 }, function(granted)
        heard("purchase answered", granted ~= nil)
    end)
    profile.Lifecycle:Connect(function(status)
        heard(status)
    end)
    profile.Finished:Connect(function()
        heard("finished")
    end)
    profile:EndSession()
    frames(store)
    local places = {}
    for at, what in ipairs(heard) do
        places[what] = at
    end
    assert(places.answered < places.finished, table.concat(heard, ", "))
    assert(places["purchase answered true"] < places.finished, table.concat(heard, ", "))
    store:Destroy()
end)

test("Wait on a signal gives what the signal says", function()
    local store = check.store()
    local profile = store:StartSession("player/ann")
    local heard = check.list()
    sl.Spawn(function()
        heard(profile.Lifecycle:Wait())
        heard(profile.Lifecycle:Wait())
        profile.Finished:Wait()
        heard("finished")
    end)
    frames(store)
    profile:EndSession()
    frames(store)
    equal(heard, { "replaced r_loaded", "destroyed nil", "finished" })
    store:Destroy()
end)

test("listeners and callbacks may yield", function()
    local store = check.store()
    local heard = check.list()
    local profile = store:StartSession("player/ann")
    profile.Loaded:Connect(function()
        profile.data.Gold = 3
        profile:MarkForceSave()
        heard("saved", profile:YieldUntilChangesSaved())
        profile:MarkForceSave()
        profile:WhenChangesSaved(function()
            heard("again")
            profile.Saved:Wait()
            heard("and again")
        end)
    end)
    frames(store)
    profile:MarkForceSave()
    frames(store)
    equal(heard, { "saved true saved", "again", "and again" })
    store:Destroy()
end)

test("a coroutine that has done its work does the next", function()
    local first, second
    sl.Spawn(function()
        first = coroutine.running()
        sl.Spawn(function()
            assert(coroutine.running() ~= first)
        end)
    end)
    sl.Spawn(function()
        second = coroutine.running()
    end)
    equal(first, second)
    refused("SL_ERROR_INVALID_ARGUMENT", "spawned", sl.Spawn, nil)
end)

test("a coroutine that has done its work is dead to others, and no listener is lost by it", function()
    local kept
    local ran = 0
    for _ = 1, 3 do
        sl.Spawn(function()
            kept = coroutine.running()
        end)
        for _, value in ipairs({ print, 5 }) do
            local ok, problem = coroutine.resume(kept, value)
            equal(ok, false)
            equal(problem, "cannot resume dead coroutine")
        end
        sl.Spawn(function()
            ran = ran + 1
        end)
    end
    equal(ran, 3)
end)

test("what yields is refused outside of a coroutine", function()
    local store = check.store()
    local profile = store:StartSession("player/ann")
    refused("SL_ERROR_INVALID_ARGUMENT", "YieldUntilLoaded yields", profile.YieldUntilLoaded, profile)
    refused("SL_ERROR_INVALID_ARGUMENT", "yields", profile.YieldUntilChangesSaved, profile)
    refused("SL_ERROR_INVALID_ARGUMENT", "Saved:Wait", function()
        profile.Saved:Wait()
    end)
    store:Destroy()
end)

test("a coroutine of the script's own may yield; its error goes to the error handler", function()
    local store = check.store()
    local profile = store:StartSession("player/ann")
    local thread = coroutine.create(function()
        profile:YieldUntilLoaded()
        error("after that")
    end)
    equal(coroutine.resume(thread), true)
    frames(store)
    check.contains(check.take_problems()[1], "after that")
    equal(coroutine.status(thread), "dead")
    store:Destroy()
end)

test("a coroutine that is resumed by somebody else is told so", function()
    local store = check.store()
    local profile = store:StartSession("player/ann")
    local thread = coroutine.create(function()
        profile:YieldUntilLoaded()
    end)
    coroutine.resume(thread)
    local ok, problem = coroutine.resume(thread)
    equal(ok, false)
    check.contains(problem, "somebody else")
    frames(store)
    equal(profile.IsLoaded, true)
    store:Destroy()
end)

test("blocking waits update the store themselves, and end when the time is over", function()
    local store = check.store()
    local profile = store:StartSession("player/ann")
    equal(profile:WaitUntilLoaded(10), profile)
    profile.data.Gold = 1
    profile:MarkForceSave()
    equal(profile:WaitUntilChangesSaved(10), true)
    profile.data.Gold = 2
    local answer, problem = profile:WaitUntilChangesSaved(0)
    equal(answer, nil)
    equal(problem.Status, "SL_ERROR_TIMEOUT")
    local again = store:StartSession("player/ann")
    answer, problem = again:WaitUntilLoaded(0)
    equal(answer, nil)
    equal(problem.Status, "SL_ERROR_TIMEOUT")
    again:EndSession()
    answer, problem = again:WaitUntilLoaded(10)
    equal(answer, nil)
    equal(problem.Status, "SL_ERROR_NOT_ACTIVE")
    store:Destroy()
end)

test("an update inside a hook or listener of the same store is refused, and does no harm", function()
    local heard = check.list()
    local store
    local function try(name)
        for _, call in ipairs({ "Update", "Drain" }) do
            local ok, problem = pcall(store[call], store, 1)
            heard(name, call, ok, problem.Status)
        end
    end
    store = check.store({
        SaveDataCreator = function()
            if #heard == 0 then
                try("hook")
            end
            return {}
        end,
    })
    local profile = store:StartSession("player/ann")
    profile.Loaded:Connect(function()
        try("listener")
        local ok, problem = pcall(profile.WaitUntilChangesSaved, profile, 1)
        heard("listener", ok, problem.Status)
    end)
    frames(store)
    equal(heard, {
        "hook Update false SL_ERROR_BUSY", "hook Drain false SL_ERROR_BUSY",
        "listener Update false SL_ERROR_BUSY", "listener Drain false SL_ERROR_BUSY",
        "listener false SL_ERROR_BUSY",
    })
    frames(store)
    equal(profile:IsAvailable(), true)
    store:Destroy()
end)

test("a listener may update another store", function()
    local one, two = check.store(), check.store()
    local ann, ben = one:StartSession("player/ann"), two:StartSession("player/ben")
    local heard = check.list()
    ben.Loaded:Connect(function()
        heard("ben")
    end)
    ann.Loaded:Connect(function()
        frames(two)
        heard("ann")
    end)
    ann.Replaced:Connect(function(reason)
        heard("ann", reason)
    end)
    frames(one)
    equal(heard, { "ben", "ann", "ann r_loaded" })
    one:Destroy()
    two:Destroy()
end)

test("a reusable session is shared, and ends with its last profile", function()
    local store, storage = check.store()
    local first = check.loaded(store)
    first.data.Gold = 4
    local second = store:StartSessionReusable("player/ann")
    equal(second.IsLoaded, true)
    equal(second.data.Gold, 4)
    first:EndSession()
    frames(store)
    equal(second.IsLoaded, true)
    assert(check.stored(storage).Session)
    second:EndSession()
    frames(store)
    equal(check.stored(storage).Session, nil)
    store:Destroy()
end)

test("all of the player's fields can be replaced at once", function()
    local store = check.store()
    local profile = check.loaded(store)
    profile.data = { A = 1 }
    equal(profile.data.Gold, nil)
    equal(profile.data.A, 1)
    profile:SetSaveDataJson('{"B":2,"Version":9}')
    equal(profile.data.A, nil)
    equal(profile.data.Version, 1)
    equal(sl.decode(profile:GetSaveDataJson()).B, 2)
    profile.SaveData = {}
    equal(profile.data.B, nil)
    equal(pcall(function()
        profile.data = 5
    end), false)
    store:Destroy()
end)

test("properties and methods cannot be assigned, other fields can", function()
    local store = check.store()
    local profile = check.loaded(store)
    refused("SL_ERROR_INVALID_ARGUMENT", "IsLoaded", function()
        profile.IsLoaded = false
    end)
    refused("SL_ERROR_INVALID_ARGUMENT", "EndSession", function()
        profile.EndSession = false
    end)
    profile.Player = "Ann"
    equal(profile.Player, "Ann")
    equal(profile.Nothing, nil)
    store:Destroy()
end)

test("the store tells every event as a table", function()
    local store = check.store()
    local heard = check.list()
    store.Event:Connect(function(event)
        heard(event.Kind, event.Key, event.Status, event.LoadStatus)
        assert(event.Owner == nil or event.Owner.Key == event.Key)
    end)
    local profile = check.loaded(store)
    profile:ProductCreditGive(3, 1)
    profile:EndSession()
    frames(store)
    equal(heard[1], "lifecycle player/ann replaced nil")
    equal(heard[2], "load_status player/ann nil loaded")
    local kinds = table.concat(heard, "\n")
    check.contains(kinds, "product_credit_changed player/ann")
    check.contains(kinds, "lifecycle player/ann finished")
    store:Destroy()
end)

test("more events than one batch has are all told, in order", function()
    local store = check.store()
    local profile = check.loaded(store)
    local sum, count = 0, 0
    profile.ProductCreditChanged:Connect(function(product, amount)
        equal(product, 5)
        count = count + 1
        equal(amount, count)
        sum = sum + amount
    end)
    for at = 1, 3000 do
        profile:ProductCreditGive(5, at)
    end
    frames(store)
    equal(sum, 3000 * 3001 / 2)
    store:Destroy()
end)

test("a session with its APIs disabled never touches the storage", function()
    local store, storage = check.store()
    local profile = check.loaded(store, "player/test", { DisableApis = true, LogPrefix = "[test]" })
    profile.data.Gold = 1
    profile:SetLogPrefix("[other]")
    profile:EndSession()
    frames(store)
    equal(storage:List(""), {})
    store:Destroy()
end)

test("a drain reports what was not released in time, and what became of it", function()
    local host = memory.new()
    local store = check.store(nil, host.storage)
    local profile = check.loaded(store)
    profile.data.Gold = 1
    host.is_silent = true
    local report = store:Drain(0)
    equal(#report.Unsaved, 1)
    equal(report.Unsaved[1].Key, "player/ann")
    equal(report.Unsaved[1].Outcome, "unknown")
    assert(#report.Unsaved[1].Reason > 0)
    equal(#report.Unsent, 0)
    equal(store.IsClosed, false)
    refused("SL_ERROR_CLOSED", nil, store.StartSession, store, "player/ben")
    store:Destroy()
    equal(store.IsClosed, true)
end)

test("a store that is closed ends its sessions in the updates that follow", function()
    local store, storage = check.store()
    local profile = check.loaded(store)
    profile.data.Gold = 9
    equal(store.IsClosed, false)
    store:Close()
    frames(store)
    equal(store.IsClosed, true)
    equal(profile.IsFinished, true)
    equal(check.stored(storage).Gold, 9)
    store:Destroy()
end)

test("what is no argument is refused by name", function()
    local store, storage = check.store()
    refused("SL_ERROR_INVALID_ARGUMENT", "a key", store.StartSession, store, 5)
    refused("SL_ERROR_INVALID_ARGUMENT", "key", store.StartSession, store, "")
    refused("SL_ERROR_INVALID_ARGUMENT", "UserId", store.StartSession, store, "k", { UserId = { "a" } })
    refused("SL_ERROR_INVALID_ARGUMENT", "a user id", store.StartSession, store, "k", { UserIds = { {} } })
    refused("SL_ERROR_INVALID_ARGUMENT", "a user id", store.StartSession, store, "k", { UserIds = { 1, nil, 3 } })
    refused("SL_ERROR_INVALID_ARGUMENT", "a user id", store.StartSession, store, "k", { UserIds = { [2] = 1 } })
    refused("SL_ERROR_INVALID_ARGUMENT", "a user id", storage.Commit, storage, "k", "{}", "", { nil, 2 })
    refused("SL_ERROR_INVALID_ARGUMENT", "with a colon", store.Close, "player/ann")
    refused("SL_ERROR_INVALID_ARGUMENT", "a spec is needed", sl.RemoteChangeSenderCreate)
    refused("SL_ERROR_INVALID_ARGUMENT", "now", store.Update, store, "1")
    refused("SL_ERROR_OUT_OF_RANGE", nil, store.Update, store, 0 / 0)
    refused("SL_ERROR_INVALID_ARGUMENT", "Templat", sl.EasyStoreCreate, storage, { Templat = {} })
    refused("SL_ERROR_INVALID_ARGUMENT", "SaveDataVersion", sl.EasyStoreCreate, storage,
        { SaveDataTemplate = {}, SaveDataVersion = 1.5 })
    refused("SL_ERROR_INVALID_ARGUMENT", "RequestsPerUpdate", sl.EasyStoreCreate, storage,
        { SaveDataTemplate = {}, RequestsPerUpdate = -1 })
    refused("SL_ERROR_INVALID_ARGUMENT", "SessionExpiry", sl.EasyStoreCreate, storage,
        { SaveDataTemplate = {}, SessionExpiry = "long" })
    refused("SL_ERROR_INVALID_ARGUMENT", nil, sl.EasyStoreCreate, storage, {})
    refused("SL_ERROR_INVALID_ARGUMENT", "BeforeSave", sl.EasyStoreCreate, storage,
        { SaveDataTemplate = {}, BeforeSave = print })
    store:Destroy()
end)

check.finish("sessions")
