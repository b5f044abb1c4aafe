--- Remote changes: sent by stores and senders, applied by hooks.

local check = require("check")
local memory = require("memory")
local sl = require("session_locker")

local test, equal, refused = check.test, check.equal, check.refused
local frames = check.frames

-- A callback that adds to a list.
local function told(list)
    return function(...)
        list(...)
    end
end

local function give_gold(_, data, change)
    if change.K == "give_gold" then
        data.Gold = data.Gold + change.Amount
        return true
    end
    return false
end

test("changes that are sent are applied once, those that nobody knows stay", function()
    local storage = sl.StorageOpen("memory:")
    local one = check.store({ ProcessRemoteChange = give_gold }, storage)
    local two = check.store(nil, storage)
    local ann = check.loaded(one)
    local outcomes = check.list()
    local id = two:SendRemoteChanges("player/ann", {
        { K = "give_gold", Amount = 7 }, { K = "dance", Steps = { 1, 2 } },
    }, { Callback = told(outcomes) })
    equal(type(id), "number")
    equal(outcomes, {})
    frames(two)
    equal(outcomes, { "sent" })
    ann:MarkForceSave()
    frames(one)
    equal(ann.data.Gold, 7)
    ann:MarkForceSave()
    frames(one)
    local inbox = check.stored(storage).RemoteChanges
    equal(#inbox, 1)
    equal(inbox[1].K, "dance")
    equal(inbox[1].Steps, { 1, 2 })
    one:Destroy()
    two:Destroy()
end)

test("a send with an operation id is written once", function()
    local storage = sl.StorageOpen("memory:")
    local store = check.store({ ProcessRemoteChange = give_gold }, storage)
    local outcomes = check.list()
    sl.Spawn(function()
        for _ = 1, 2 do
            outcomes(store:YieldUntilRemoteChangesSent("player/ann", { { K = "give_gold", Amount = 5 } },
                { OperationId = "mail-1" }))
        end
        outcomes(store:YieldUntilRemoteChangesSent("player/ann", { { K = "give_gold", Amount = 5 } }))
    end)
    frames(store, 50)
    equal(outcomes, { "sent", "sent", "sent" })
    equal(check.loaded(store).data.Gold, 10)
    store:Destroy()
end)

test("a hook that fails leaves the change, reports its text, and is asked again", function()
    local reports = {}
    local calls = 0
    local store = check.store({
        ProcessRemoteChange = function(key, data, change)
            calls = calls + 1
            equal(key, "player/ann")
            data.Gold = 99
            if calls == 1 then
                error("not today")
            elseif calls == 2 then
                return nil
            end
            return give_gold(key, data, change)
        end,
        ReportDataStoreError = function(report)
            reports[#reports + 1] = report
        end,
    })
    store:SendRemoteChanges("player/ann", { { K = "give_gold", Amount = 1 } })
    frames(store)
    local profile = check.loaded(store)
    frames(store)
    equal(profile.data.Gold, 0)
    equal(reports[1].Activity, "remote_change")
    check.contains(reports[1].Message, "not today")
    check.later(30)
    frames(store)
    check.contains(reports[2].Message, "must return true or false")
    check.later(30)
    frames(store)
    equal(profile.data.Gold, 100)
    store:Destroy()
end)

test("as many changes as a send may have are sent in one", function()
    local store, storage = check.store()
    local changes = {}
    for at = 1, 10000 do
        changes[at] = { K = "x", At = at }
    end
    store:SendRemoteChanges("player/ann", changes)
    frames(store)
    equal(#check.stored(storage).RemoteChanges, 10000)
    changes[10001] = { K = "x" }
    refused("SL_ERROR_TOO_LARGE", nil, store.SendRemoteChanges, store, "player/ann", changes)
    store:Destroy()
end)

test("changes that cannot be are refused", function()
    local store = check.store()
    local send = store.SendRemoteChanges
    refused("SL_ERROR_NOT_FOUND", nil, send, store, "player/ann", { { Amount = 1 } })
    refused("SL_ERROR_WRONG_TYPE", nil, send, store, "player/ann", { 5 })
    refused("SL_ERROR_INVALID_ARGUMENT", "array", send, store, "player/ann", { K = "x" })
    refused("SL_ERROR_INVALID_ARGUMENT", "Operation", send, store, "player/ann", {}, { Operation = "x" })
    refused("SL_ERROR_INVALID_ARGUMENT", "operation id", send, store, "player/ann", {}, { OperationId = "" })
    refused("SL_ERROR_INVALID_ARGUMENT", "a key", send, store, nil, {})
    equal(require("session_locker.hooks").count(), 1)
    store:Destroy()
end)

local function sender_world(given, storage)
    storage = storage or sl.StorageOpen("memory:")
    local spec = sl.LockerSpec({ DataStore = storage, SaveDataTemplate = { Gold = 0 }, Seed = check.seed() })
    return sl.RemoteChangeSenderCreate(spec, given), storage, spec
end

test("a sender says how each send has ended", function()
    local sender, storage = sender_world()
    local outcomes = check.list()
    local events = check.list()
    sender.Event:Connect(function(event)
        events(event.Kind, event.Key, event.Outcome, type(event.SendId))
    end)
    sender:Send("player/nobody", { { K = "x" } }, { Callback = told(outcomes) })
    equal(sender:IsSending(), true)
    frames(sender)
    equal(outcomes, { "missing" })
    equal(sender:IsSending(), false)
    sender:Send("player/nobody", {}, { Callback = told(outcomes) })
    local _, revision = storage:Fetch("player/bad")
    storage:Commit("player/bad", "no document", revision)
    sl.Spawn(function()
        outcomes(sender:YieldUntilSent("player/bad", { { K = "x" } }))
    end)
    frames(sender)
    table.sort(outcomes)
    equal(outcomes, { "corrupt_data", "missing", "sent" })
    equal(events[1], "remote_changes_sent player/nobody missing number")
    sender:Destroy()
end)

test("a sender may make what is missing, or do nothing at all", function()
    local sender, storage = sender_world({ CreateIfMissing = true, LogPrefix = "[mail]", Seed = 5 })
    local outcomes = check.list()
    sender:Send("player/new", { { K = "x" } }, { Callback = told(outcomes) })
    frames(sender)
    equal(outcomes, { "sent" })
    equal(check.stored(storage, "player/new").RemoteChanges[1].K, "x")
    sender:Destroy()

    local idle, untouched = sender_world({ DisableApis = true })
    idle:Send("player/new", { { K = "x" } }, { Callback = told(outcomes) })
    frames(idle)
    equal(outcomes[2], "sent")
    equal(untouched:List(""), {})
    idle:Destroy()
end)

test("a sender reports what fails, and tries again; a signal tells it too", function()
    local host = memory.new()
    local reports, failed = check.list(), check.list()
    local sender = sender_world({
        CreateIfMissing = true,
        ReportDataStoreError = function(report)
            reports(report.Activity, report.Kind, report.Key)
        end,
    }, host.storage)
    sender.Failed:Connect(function(event)
        failed(event.Message)
    end)
    host.fails_with = "down"
    local outcomes = check.list()
    sender:Send("player/ann", { { K = "x" } }, { Callback = told(outcomes) })
    frames(sender, 2)
    equal(reports[1], "send backend player/ann")
    check.contains(failed[1], "down")
    equal(outcomes, {})
    host.fails_with = nil
    check.later(100)
    frames(sender)
    equal(outcomes, { "sent" })
    sender:Destroy()
end)

test("a sender that is destroyed answers what is left, also from inside a callback", function()
    local host = memory.new()
    local sender = sender_world(nil, host.storage)
    local outcomes = check.list()
    sender:Send("player/ann", {}, {
        Callback = function(outcome)
            outcomes("first", outcome)
            host.is_silent = true
            sender:Send("player/ann", { { K = "x" } }, {
                Callback = function(second)
                    outcomes("second", second)
                end,
            })
            sender:Destroy()
        end,
    })
    frames(sender, 1)
    equal(outcomes, { "first sent", "second not_sent" })
    sender:Destroy()
    refused("SL_ERROR_INVALID_HANDLE", "destroyed", sender.Send, sender, "k", {})
end)

test("a store that is destroyed answers its sends, and a drain reports them", function()
    local host = memory.new()
    local store = check.store(nil, host.storage)
    local outcomes = check.list()
    host.is_silent = true
    store:SendRemoteChanges("player/ann", { { K = "x" }, { K = "y" } }, { Callback = told(outcomes) })
    local report = store:Drain(0)
    equal(#report.Unsent, 1)
    equal(report.Unsent[1].Key, "player/ann")
    equal(report.Unsent[1].Outcome, "not_sent")
    equal(report.Unsent[1].ChangeCount, 2)
    assert(#report.Unsent[1].Reason > 0)
    equal(outcomes, {})
    store:Destroy()
    equal(outcomes, { "not_sent" })
end)

test("an error in the callback of a send reaches the error handler", function()
    local sender = sender_world()
    sender:Send("player/ann", {}, {
        Callback = function(outcome)
            error("answered with " .. outcome)
        end,
    })
    frames(sender, 1)
    check.contains(check.take_problems()[1], "answered with sent")
    sender:Destroy()
end)

check.finish("remote changes")
