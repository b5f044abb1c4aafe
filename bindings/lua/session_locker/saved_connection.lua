--- SavedConnection: a wait for changes to be saved, answered exactly once unless it is disconnected.

local class = require("session_locker.class")
local events = require("session_locker.events")
local native = require("session_locker.native")
local tasks = require("session_locker.tasks")

local C, calls = native.C, native.calls

local SavedConnection, getters = {}, {}
local meta = class.new(SavedConnection, getters)

local flag = native.scratch("int32_t[1]")
local out = native.scratch("SlSavedConnection *[1]")

--- Begins a wait. `begin(handle, callback, user_data, drop, connection)` is the C function; the answer
-- comes as an event of the source.
function SavedConnection.begin(begin, handle, source, callback)
    if callback ~= nil then
        native.expect(callback, "function", "a callback")
    end
    native.check(begin(handle, nil, nil, nil, out))
    local connection = native.own(out[0], "saved_connection_destroy")
    local self = setmetatable({ _handle = connection, _source = source, _callback = callback }, meta)
    source._waits:put(connection, self)
    return self
end

--- Whether the changes are in the storage.
function getters:Saved()
    if self._handle == nil then
        return self._outcome == C.SL_OUTCOME_SAVED
    end
    native.check(C.saved_connection_is_saved(self._handle, flag))
    return flag[0] == 1
end

--- Whether it still waits.
function getters:Connected()
    if self._handle == nil then
        return false
    end
    native.check(C.saved_connection_is_connected(self._handle, flag))
    return flag[0] == 1
end

--- The answer: "saved", "not_saved" or "unknown"; nil while it waits, and after it was given up.
function getters:Outcome()
    if self._handle == nil then
        return events.OUTCOMES[self._outcome]
    end
    native.check(C.saved_connection_outcome(self._handle, flag))
    return events.OUTCOMES[flag[0]]
end

--- Answers the wait by hand; its callback runs in the next update. Once it is answered, this does nothing.
function SavedConnection:Trigger(was_saved)
    if self._handle ~= nil then
        native.expect(was_saved, "boolean", "what a wait is answered with")
        native.check(calls.saved_connection_trigger(self._handle, was_saved and 1 or 0))
    end
end

function SavedConnection:_free()
    local handle = self._handle
    self._source._waits:put(handle, nil)
    rawset(self, "_handle", nil)
    native.check(calls.saved_connection_destroy(native.release(handle)))
end

--- Gives up the wait: its callback is not called any more. `Disconnect` is the same.
function SavedConnection:Destroy()
    if self._handle ~= nil then
        native.check(calls.saved_connection_disconnect(self._handle))
        native.check(C.saved_connection_outcome(self._handle, flag))
        rawset(self, "_outcome", flag[0])
        self:_free()
    end
end
SavedConnection.Disconnect = SavedConnection.Destroy

--- The answer has come; it is too late if somebody has given up the wait while it was told.
function SavedConnection:_answer(outcome)
    if self._handle == nil then
        return
    end
    rawset(self, "_outcome", outcome)
    self:_free()
    if self._callback ~= nil then
        tasks.Spawn(self._callback, outcome == C.SL_OUTCOME_SAVED, events.OUTCOMES[outcome])
    end
end

--- Answers all waits of a source that is no more with what the library has answered them.
function SavedConnection.answer_all(source)
    for _, connection in ipairs(source._waits:all()) do
        if connection._handle ~= nil then
            native.check(C.saved_connection_outcome(connection._handle, flag))
            connection:_answer(flag[0])
        end
    end
end

return SavedConnection
