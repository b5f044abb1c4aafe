--- Profile: one player's session, the original's `EasyProfile`.
--
-- A profile lives until it has said its last, `Finished`, whoever holds it; then, or with its store, its
-- handle is freed.

local class = require("session_locker.class")
local events = require("session_locker.events")
local hooks = require("session_locker.hooks")
local native = require("session_locker.native")
local owner = require("session_locker.owner")
local receipts = require("session_locker.receipts")
local save_data = require("session_locker.save_data")
local tasks = require("session_locker.tasks")

local C, calls = native.C, native.calls

local Profile, getters, setters = { _recipient_field = "recipient_profile" }, {}, {}
local meta = class.new(Profile, getters, setters)

owner.add(Profile, getters, setters, {
    get_save_data_json = C.profile_get_save_data_json,
    set_save_data_json = C.profile_set_save_data_json,
    get_lost_save_data = C.profile_get_lost_save_data,
    set_log_prefix = calls.profile_set_log_prefix,
    product_credit_query = C.profile_product_credit_query,
    product_credit_give = calls.profile_product_credit_give,
    product_credit_use = calls.profile_product_credit_use,
    when_changes_saved = calls.profile_when_changes_saved,
    wait_until_changes_saved = calls.profile_wait_until_changes_saved,
}, "profile")
owner.add_signals(getters, { "Destroyed", "Finished" })

local data_out = native.scratch("SlSaveData *[1]")

--- For the store, which has just begun the session.
function Profile.new(handle, store)
    native.check(C.profile_get_save_data(handle, data_out))
    native.check(C.profile_get_key(handle, native.buffer))
    return setmetatable({
        Key = native.take_buffer(),
        Store = store,
        _handle = native.own(handle, "profile_destroy"),
        _source = store,
        _data = save_data.root(data_out[0]),
    }, meta)
end

--- The handle is freed, the last event told.
function Profile:_end(was_freed)
    local handle = native.release(self._handle)
    rawset(self, "_handle", nil)
    if not was_freed then
        native.check(calls.profile_destroy(handle))
    end
end

--- Whether the session has not been ended by the script.
getters.IsActive = owner.flag(C.profile_is_active, false)
--- Whether the save data is the player's.
getters.IsLoaded = owner.flag(C.profile_is_loaded, false)
--- Whether the session is over and its key released.
getters.IsFinished = owner.flag(C.profile_is_finished, true)
--- How far loading has come: "loading", "data_store_request_fail", "session_is_locked",
-- "invalid_version", "loaded", "corrupt_data", "migration_failed", "create_failed" or "erased"; nil once
-- the session is over.
getters.LoadStatus = owner.load_status(C.profile_load_status)
--- After "invalid_version", the version that a server must have; else 0.
getters.LoadMinimumServerVersion = owner.version(C.profile_load_minimum_server_version)
--- Whether the save data is the player's and will be saved; it turns false before another server could
-- take the key. The question to ask before doing what must not be done twice.
Profile.IsAvailable = owner.flag(C.profile_is_available, false)

--- Notes a change. Writing to the save data does so itself.
Profile.MarkShouldSave = owner.command(calls.profile_mark_should_save, "profile")
--- Notes a change, and saves in the next update.
Profile.MarkForceSave = owner.command(calls.profile_mark_force_save, "profile")

--- Ends the session: it is saved and released in the updates that follow. The profile is heard until
-- `Finished`. Again does nothing.
function Profile:EndSession()
    if self._handle ~= nil then
        native.check(calls.profile_end_session(self._handle))
    end
end
Profile.Destroy = Profile.EndSession

local function add_loading_wait(self, wait)
    local waits = rawget(self, "_loading") or {}
    rawset(self, "_loading", waits)
    events.hear(self)
    waits[#waits + 1] = wait
    if self.IsLoaded then
        self.Store:_answer_loaded_later(self)
    end
end

--- Calls `callback(profile)` once the profile is loaded, in an update: the next one, if it is already;
-- never, if the session ends first.
function Profile:WhenLoaded(callback)
    native.expect(callback, "function", "a callback")
    class.handle(self, "profile")
    add_loading_wait(self, function(profile)
        if profile ~= nil then
            tasks.Spawn(callback, profile)
        end
    end)
end

--- Suspends the coroutine until the profile is loaded, and gives the profile; nil if its session ends
-- first, or its load status is one after which loading does not go on.
function Profile:YieldUntilLoaded()
    if self.IsLoaded then
        return self
    elseif self.LoadStatus == nil or not self.IsActive or events.IS_FINAL[self.LoadStatus] then
        return nil
    end
    return tasks.await("YieldUntilLoaded", function(wait)
        add_loading_wait(self, function(profile)
            tasks.finish(wait, profile)
        end)
    end)
end

--- The same, blocking, with updates of its own, for at most `timeout` seconds; nil, and the error, if it
-- is not loaded. For tools.
function Profile:WaitUntilLoaded(timeout)
    native.expect(timeout, "number", "a timeout")
    local status, failure = events.run(self._source, "WaitUntilLoaded",
        calls.profile_wait_until_loaded, class.handle(self, "profile"), timeout)
    if status == native.TIMEOUT or status == native.NOT_LOADED or status == native.NOT_ACTIVE then
        return nil, failure
    elseif failure then
        error(failure, 0)
    end
    return self
end

local function set_hook(self, set, hook)
    local handle = class.handle(self, "profile")
    if hook == nil then
        return native.check(set(handle, nil, nil, nil))
    end
    native.expect(hook, "function", "a hook")
    local user_data = hooks.enter({ owner = self, BeforeSave = hook })
    native.check(hooks.forget_if_refused(
        set(handle, hooks.callback("SlBeforeSave"), user_data, hooks.callback("SlDrop")), user_data))
end

--- Sets the hook that runs before every save, the last one included; nil for none. `hook(profile)` may
-- write to the save data, and what it writes is in that save. An error puts the save off for a cooldown.
function Profile:SetBeforeSave(hook)
    set_hook(self, calls.profile_set_before_save, hook)
end

--- Sets the second hook before a save, which runs after the first.
function Profile:SetBeforeSaveTransform(hook)
    set_hook(self, calls.profile_set_before_save_transform, hook)
end

local function purchase(self, process, receipt, callback)
    local entry = receipts.entry(process, receipt, callback)
    entry.profile = self
    return entry
end

--- Processes a purchase once the save data is available, and answers it once: `callback(was_granted)`.
-- To be called for each receipt that the platform brings, as often as it brings it. What `process(op,
-- call)` is and returns stands in the documentation of purchases.
function Profile:CallWhenProductIsProcessedAndSaved(process, receipt, callback)
    local handle = class.handle(self, "profile")
    local entry = purchase(self, process, receipt, callback)
    receipts.call_when(entry, function(...)
        return calls.profile_call_when_product_is_processed_and_saved(handle, ...)
    end)
end

--- Processes a purchase, and suspends the coroutine until it is answered: true if it is granted.
function Profile:YieldUntilProductIsProcessedAndSaved(process, receipt)
    return tasks.await("YieldUntilProductIsProcessedAndSaved", function(wait)
        self:CallWhenProductIsProcessedAndSaved(process, receipt, function(was_granted)
            tasks.finish(wait, was_granted)
        end)
    end)
end

--- The same, blocking, with updates of its own, for at most `timeout` seconds; nil, and the error, if the
-- time ran out: the purchase goes on. For tools.
function Profile:WaitUntilProductIsProcessedAndSaved(process, receipt, timeout)
    native.expect(timeout, "number", "a timeout")
    local handle = class.handle(self, "profile")
    local entry = purchase(self, process, receipt)
    return receipts.wait(entry, function(process_callback, info, user_data, drop, was_granted)
        return events.run(self._source, "WaitUntilProductIsProcessedAndSaved",
            calls.profile_wait_until_product_is_processed_and_saved, handle, process_callback, info,
            user_data, drop, timeout, was_granted)
    end)
end

return Profile
