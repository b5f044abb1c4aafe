--- RemoteChangeSender: sends remote changes to the records of a spec, whoever owns them.

local ffi = require("ffi")
local class = require("session_locker.class")
local config = require("session_locker.config")
local events = require("session_locker.events")
local hooks = require("session_locker.hooks")
local native = require("session_locker.native")
local owner = require("session_locker.owner")
local send = require("session_locker.send")

local C, calls = native.C, native.calls

local RemoteChangeSender, getters = {}, {}
local meta = class.new(RemoteChangeSender, getters)

-- `Event(event)`: every event of the sender. `Failed(event)`: what failed, after which it tries again.
owner.add_signals(getters, { "Event", "Failed" })
send.add(RemoteChangeSender, "Send", "YieldUntilSent", calls.remote_change_sender_send, "sender")

--- Makes a sender for the records of a spec. `given` may have `CreateIfMissing`, to make a record that is
-- not there; `DisableApis`, for tests, to answer every send with "sent" and do nothing; `LogPrefix`;
-- `Seed`; and `ReportDataStoreError(report)`.
local function RemoteChangeSenderCreate(spec, given)
    local spec_handle = class.handle(spec, "spec")
    local struct = ffi.new("SlRemoteChangeSenderConfig")
    native.check(C.remote_change_sender_config_init(struct, ffi.sizeof(struct)))
    local entry = config.fill_sender(struct, given or {})
    local out = ffi.new("SlRemoteChangeSender *[1]")
    local user_data = hooks.enter(entry)
    struct.user_data = user_data
    native.check(hooks.forget_if_refused(
        calls.remote_change_sender_create(spec_handle, struct, out), user_data))
    native.keep(given)
    local self = setmetatable({
        _handle = native.own(out[0], "remote_change_sender_destroy"),
        _objects = events.Handles.new(),
        _waits = events.Handles.new(),
        _poll = calls.remote_change_sender_poll_event,
    }, meta)
    self._objects:put(nil, self)
    rawset(self, "_heard", self._objects)
    return self
end

local flag = native.scratch("int32_t[1]")

--- Does all there is to do, once a frame, and answers sends. `now` as for a locker.
function RemoteChangeSender:Update(now)
    if now == nil then
        now = C.session_locker_now()
    end
    native.expect(now, "number", "now")
    local _, failure = events.run(self, "Update", calls.remote_change_sender_update,
        class.handle(self, "sender"), now)
    if failure then
        error(failure, 0)
    end
end

--- Whether a send is not answered yet.
function RemoteChangeSender:IsSending()
    native.check(calls.remote_change_sender_is_sending(class.handle(self, "sender"), flag))
    return flag[0] == 1
end

--- Frees the sender. Each send that is not answered is answered with "unknown" or "not_sent". Inside a
-- callback of its own it takes effect at the end of the update. Again does nothing.
function RemoteChangeSender:Destroy()
    if self._handle == nil or events.destroys_later(self) then
        return
    end
    local handle = native.release(self._handle)
    rawset(self, "_handle", nil)
    native.check(calls.remote_change_sender_destroy(handle))
    events.tell_answers()
end

return RemoteChangeSenderCreate
