--- Storages: the tools, and storages of the script's own.

local check = require("check")
local memory = require("memory")
local sl = require("session_locker")

local test, equal, refused = check.test, check.equal, check.refused
local frames, until_so = check.frames, check.until_so

-- The tools do the same on the library's storages and on the script's own.
for name, open in pairs({
    ["of the library"] = function()
        return sl.StorageOpen("memory:")
    end,
    ["of the script's own"] = function()
        return memory.new().storage
    end,
}) do
    test("a storage " .. name .. " fetches, commits and erases on the condition of a revision", function()
        local storage = open()
        local record, absence = storage:Fetch("k")
        equal(record, nil)
        local first = storage:Commit("k", '{"a\\u0000":1}', absence, { "u", 12 })
        equal(type(first), "string")
        record = storage:Fetch("k", 5)
        equal(record.Bytes, '{"a\\u0000":1}')
        equal(record.Revision, first)
        equal(record.UserIds, { "u", "12" })
        local none, problem = storage:Commit("k", "{}", absence)
        equal(none, nil)
        equal(problem.Status, "SL_ERROR_CONFLICT")
        local second = storage:Commit("k", "{}", first)
        equal(storage:Fetch("k").UserIds, {})
        none, problem = storage:Erase("k", first)
        equal(none, nil)
        equal(problem.Status, "SL_ERROR_CONFLICT")
        local erased = storage:Erase("k", second)
        record, absence = storage:Fetch("k")
        equal(record, nil)
        equal(absence, erased)
        assert(storage:Commit("k", "{}", erased))
        assert(storage:Erase("k"))
        storage:Destroy()
        storage:Destroy()
        refused("SL_ERROR_INVALID_HANDLE", "storage", storage.Fetch, storage, "k")
    end)

    test("a storage " .. name .. " lists keys in pages, and those of a user", function()
        local storage = open()
        for _, key in ipairs({ "b/2", "a/1", "b/1", "b/3" }) do
            local _, revision = storage:Fetch(key)
            storage:Commit(key, "{}", revision, { key == "b/1" and "other" or "user" })
        end
        equal(storage:List(), { "a/1", "b/1", "b/2", "b/3" })
        equal(storage:List("b/"), { "b/1", "b/2", "b/3" })
        equal(storage:List("b/", nil, 2), { "b/1", "b/2" })
        equal(storage:List("b/", "b/2", 2), { "b/3" })
        equal(storage:KeysOfUser("user"), { "a/1", "b/2", "b/3" })
        equal(storage:KeysOfUser(404), {})
        storage:Destroy()
    end)
end

test("what is no URL, key or revision is refused", function()
    refused("SL_ERROR_STORAGE", nil, sl.StorageOpen, "nonsense:")
    refused("SL_ERROR_INVALID_ARGUMENT", "a URL", sl.StorageOpen, nil)
    local storage = sl.StorageOpen("memory:")
    refused("SL_ERROR_INVALID_ARGUMENT", "a key", storage.Fetch, storage)
    refused("SL_ERROR_INVALID_ARGUMENT", nil, storage.Fetch, storage, ("x"):rep(513))
    refused("SL_ERROR_INVALID_UTF8", nil, storage.Fetch, storage, "\255")
    refused("SL_ERROR_OUT_OF_RANGE", nil, storage.Fetch, storage, "k", -1)
    refused("SL_ERROR_INVALID_ARGUMENT", "a timeout", storage.Fetch, storage, "k", "1")
    refused("SL_ERROR_OUT_OF_RANGE", nil, storage.List, storage, "", "", 0)
    refused("SL_ERROR_INVALID_ARGUMENT", "a limit", storage.List, storage, "", "", "all")
    refused("SL_ERROR_INVALID_ARGUMENT", "a prefix", storage.List, storage, 5)
    refused("SL_ERROR_INVALID_ARGUMENT", "a revision", storage.Erase, storage, "k", 5)
    storage:Destroy()
end)

test("the figures of a storage and a store tell what was asked", function()
    local storage = sl.StorageOpen("memory:?requests_in_flight=5")
    local store = sl.EasyStoreCreate(storage, { SaveDataTemplate = { Gold = 0 } })
    local profile = store:StartSession("ann")
    until_so(store, function()
        return profile.IsLoaded
    end)
    local record = storage:Fetch("ann")
    equal(storage:Commit("ann", "{}", "n:77"), nil)
    storage:List()
    storage:Erase("ben")
    local all = storage:GetStats()
    equal({ all.Fetches, all.Commits, all.Erasures, all.Lists }, { 2, 2, 1, 1 })
    equal({ all.Conflicts, all.BytesRead, all.BytesWritten }, { 1, #record.Bytes, #record.Bytes + 2 })
    equal({ all.InFlight, all.MostInFlight, all.Retries, all.GivenUp, all.Refused }, { 0, 1, 0, 0, 0 })
    equal(all.Waiting, { Saves = 0, Loads = 0, Others = 0 })
    local answers = 0
    for _, count in ipairs(all.Latencies) do
        answers = answers + count
    end
    equal({ answers, #all.Latencies }, { 6, 24 })
    equal({ all.LatencyBounds[1], all.LatencyBounds[23], all.LatencyBounds[24] }, { 16e-6, 67.108864, math.huge })
    local own = store:GetStats()
    equal({ own.Fetches, own.Commits, own.Lists }, { 1, 1, 0 })
    store:Destroy()
    refused("SL_ERROR_INVALID_HANDLE", "store", store.GetStats, store)
    storage:Destroy()
    refused("SL_ERROR_INVALID_HANDLE", "storage", storage.GetStats, storage)
end)

test("a storage of the script's own has limits", function()
    local asked = {}
    local function keep(request)
        asked[#asked + 1] = request
    end
    local functions = { Fetch = keep, Commit = keep, Erase = keep }
    local storage = sl.StorageOpenHost(functions, { RequestsInFlight = 1, RequestsPerSecond = 1000000 })
    refused("SL_ERROR_TIMEOUT", nil, storage.Fetch, storage, "a", 0)
    refused("SL_ERROR_STORAGE", "nothing was written", storage.Fetch, storage, "b", 0)
    local stats = storage:GetStats()
    equal({ #asked, stats.InFlight, stats.Waiting.Others, stats.Refused }, { 1, 1, 0, 1 })
    asked[1]:Failed("backend", "away")
    refused("SL_ERROR_TIMEOUT", nil, storage.Fetch, storage, "c", 0)
    asked[2]:Failed("script", "no")
    stats = storage:GetStats()
    equal({ #asked, stats.FailuresBackend, stats.FailuresScript, stats.FailuresMisc }, { 2, 1, 1, 0 })
    equal(stats.MostWaiting, { Saves = 0, Loads = 0, Others = 1 })
    storage:Destroy()
    for _, limits in ipairs({ { RequestsInFlight = -1 }, { RequestsPerSecond = 1000001 }, { RequestsInFlight = 1.5 } }) do
        refused("SL_ERROR_OUT_OF_RANGE", "an integer", sl.StorageOpenHost, functions, limits)
    end
    refused("SL_ERROR_INVALID_ARGUMENT", "no limit", sl.StorageOpenHost, functions, { Requests = 1 })
    refused("SL_ERROR_INVALID_ARGUMENT", "a number", sl.StorageOpenHost, functions, { RequestsInFlight = "1" })
end)

test("a named memory storage is shared", function()
    local one, two = sl.StorageOpen("memory:shared"), sl.StorageOpen("memory:shared")
    local _, revision = one:Fetch("k")
    one:Commit("k", "{}", revision)
    equal(two:Fetch("k").Bytes, "{}")
    one:Destroy()
    two:Destroy()
end)

test("a whole session goes through a storage of the script's own", function()
    local host = memory.new()
    local store = check.store(nil, host.storage)
    local profile = check.loaded(store, nil, { UserIds = { "1001" } })
    profile.data.Name = "Ann\0Ünal"
    profile:EndSession()
    frames(store)
    equal(profile.IsFinished, true)
    equal(host.records["player/ann"].user_ids, { "1001" })
    equal(sl.decode(host.records["player/ann"].bytes).Name, "Ann\0Ünal")
    equal(check.loaded(store).data.Name, "Ann\0Ünal")
    store:Destroy()
end)

test("a request may be answered later, once", function()
    local host = memory.new()
    local store = check.store(nil, host.storage)
    host.is_silent = true
    local profile = store:StartSession("player/ann")
    frames(store)
    equal(profile.LoadStatus, "loading")
    equal(#host.waiting, 1)
    host.is_silent = false
    host.waiting[1]:Absent()
    refused("SL_ERROR_INVALID_HANDLE", "request", host.waiting[1].Absent, host.waiting[1])
    frames(store)
    equal(profile.IsLoaded, true)
    store:Destroy()
end)

test("a function of a storage that throws has failed, and says why", function()
    local host = memory.new()
    local reports = check.list()
    local store = check.store({
        ReportDataStoreError = function(report)
            reports(report.Kind, report.Message)
        end,
    }, host.storage)
    host.throws = "the database is on fire"
    local profile = store:StartSession("player/ann")
    frames(store)
    equal(profile.LoadStatus, "data_store_request_fail")
    check.contains(reports[1], "the database is on fire")
    refused("SL_ERROR_STORAGE", "on fire", host.storage.Fetch, host.storage, "k")
    host.throws = nil
    check.later(100)
    until_so(store, function()
        return profile.IsLoaded
    end)
    store:Destroy()
end)

test("a commit whose answer is lost is found to be stored", function()
    local host = memory.new()
    local store = check.store({ ReportDataStoreError = function() end }, host.storage)
    local profile = check.loaded(store)
    profile.data.Gold = 3
    profile:MarkForceSave()
    local answer
    profile:WhenChangesSaved(function(was_saved)
        answer = was_saved
    end)
    host.loses = true
    frames(store, 1)
    host.loses = false
    check.later(60)
    frames(store)
    equal(answer, true)
    store:Destroy()
end)

test("an answer that does not fit the request is refused, and the request still waits", function()
    local hooks = require("session_locker.hooks")
    local before, kept = hooks.count(), nil
    local storage = sl.StorageOpenHost({
        Fetch = function(request)
            kept = request
            refused("SL_ERROR_INVALID_ARGUMENT", nil, request.Committed, request, "r1")
            refused("SL_ERROR_INVALID_ARGUMENT", "a revision", request.Fetched, request, "{}")
            refused("SL_ERROR_INVALID_ARGUMENT", "script, misc or backend", request.Failed, request, "x", "y")
            request:Fetched("{}", "r1", { "u" }, 1700000000)
        end,
        Commit = function(request)
            request:Conflict(1700000000)
        end,
        Erase = function(request)
            request:Erased("r2", 1700000000)
        end,
    })
    equal(storage:Fetch("k").Revision ~= nil, true)
    refused("SL_ERROR_INVALID_HANDLE", nil, kept.Conflict, kept)
    equal(storage:Commit("k", "{}", storage:Fetch("k").Revision), nil)
    assert(storage:Erase("k"))
    refused("SL_ERROR_STORAGE", nil, storage.List, storage)
    refused("SL_ERROR_STORAGE", nil, storage.KeysOfUser, storage, "u")
    storage:Destroy()
    refused("SL_ERROR_INVALID_ARGUMENT", nil, sl.StorageOpenHost, { Fetch = print })
    refused("SL_ERROR_INVALID_ARGUMENT", "Fetched", sl.StorageOpenHost, { Fetched = print })
    equal(hooks.count(), before)
end)

check.finish("storage")
