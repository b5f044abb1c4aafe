--- Locker: one key's lock and save data, the original's `LockerState`. The script updates each locker
-- every frame.

local ffi = require("ffi")
local class = require("session_locker.class")
local config = require("session_locker.config")
local events = require("session_locker.events")
local native = require("session_locker.native")
local owner = require("session_locker.owner")
local save_data = require("session_locker.save_data")

local C, calls = native.C, native.calls

local Locker, getters, setters = { _recipient_field = "recipient_locker" }, {}, {}
local meta = class.new(Locker, getters, setters)

owner.add(Locker, getters, setters, {
    get_save_data_json = C.locker_get_save_data_json,
    set_save_data_json = C.locker_set_save_data_json,
    get_lost_save_data = C.locker_get_lost_save_data,
    set_log_prefix = calls.locker_set_log_prefix,
    product_credit_query = C.locker_product_credit_query,
    product_credit_give = calls.locker_product_credit_give,
    product_credit_use = calls.locker_product_credit_use,
    when_changes_saved = calls.locker_when_changes_saved,
    wait_until_changes_saved = calls.locker_wait_until_changes_saved,
}, "locker")
owner.add_signals(getters, { "Idling", "Deleted", "Event" })

local locker_out = native.scratch("SlLocker *[1]")
local data_out = native.scratch("SlSaveData *[1]")

local function create(spec, call, key, options)
    local struct, keep = config.session_options(options)
    native.check(call(class.handle(spec, "spec"), key, #key, struct, locker_out))
    native.keep(keep)
    local handle = native.own(locker_out[0], "locker_destroy")
    native.check(C.locker_get_save_data(handle, data_out))
    native.check(C.locker_get_key(handle, native.buffer))
    local self = setmetatable({
        Key = native.take_buffer(),
        Spec = spec,
        _handle = handle,
        _objects = events.Handles.new(),
        _waits = events.Handles.new(),
        _poll = calls.locker_poll_event,
        _data = save_data.root(data_out[0]),
        _use_keys = {},
    }, meta)
    rawset(self, "_source", self)
    -- Events of a locker name no profile: whatever names none is this locker's.
    self._objects:put(nil, self)
    rawset(self, "_heard", self._objects)
    spec._lockers:put(handle, self)
    for name, listener in pairs(spec._listeners) do
        self[name]:Connect(function(...)
            listener(self, ...)
        end)
    end
    return self
end

local lockers = {}

--- Makes a locker for a key that wants nothing yet. `options` as for `StartSession`.
function lockers.LockerCreate(spec, key, options)
    native.expect(key, "string", "a key")
    return create(spec, calls.locker_create, key, options)
end

--- Makes a locker for a player, whose user id is the key, and the only user id of the record.
function lockers.LockerCreatePlayer(spec, user_id, options)
    return create(spec, calls.locker_create_player, config.user_id(user_id, "a user id"), options)
end

--- How far loading has come; nil once the locker is deleted.
getters.LoadStatus = owner.load_status(C.locker_load_status)
--- After "invalid_version", the version that a server must have; else 0.
getters.LoadMinimumServerVersion = owner.version(C.locker_load_minimum_server_version)
--- Whether the locker was deleted.
getters.IsDeleted = owner.flag(C.locker_is_deleted, true)
--- Whether the save data is the player's and will be saved.
Locker.IsAvailable = owner.flag(C.locker_is_available, false)

local is_idling = owner.flag(C.locker_is_idling, false)
local is_syncing = owner.flag(C.locker_is_syncing, false)

--- Whether the locker holds no session and has nothing under way.
function getters:IsIdling()
    return not self.IsDeleted and is_idling(self)
end

--- Whether the save data is kept in step with the player's state, which the script may say by assigning.
function getters:IsSyncing()
    return not self.IsDeleted and is_syncing(self)
end

function setters:IsSyncing(value)
    native.expect(value, "boolean", "IsSyncing")
    native.check(C.locker_set_is_syncing(class.handle(self, "locker"), value and 1 or 0))
end

local OTHER_USE_KEYS = 2 ^ 52

-- Two cdata of one number are two keys of a table, so they are known by their number.
local function key_of(key)
    if ffi.istype("int64_t", key) or ffi.istype("uint64_t", key) then
        return key >= 0 and key < OTHER_USE_KEYS and tonumber(key) or tostring(key)
    end
    return key
end

-- The number of a use key. Small whole numbers are their own; anything else gets one while it is held.
local function use_key_number(self, use_key)
    local key = key_of(use_key)
    if key == nil then
        return 0
    elseif type(key) == "number" and key >= 0 and key < OTHER_USE_KEYS and key == math.floor(key) then
        return key
    end
    local keys = self._use_keys
    if keys[key] == nil then
        rawset(self, "_last_use_key", (self._last_use_key or OTHER_USE_KEYS) + 1)
        keys[key] = self._last_use_key
    end
    return keys[key]
end

--- Acquires the key, in the updates that follow, and holds its session for as long as at least one use key
-- is held. `use_key` is any value of its user's choosing; none is one too.
function Locker:MarkShouldAcquire(use_key)
    native.check(calls.locker_mark_should_acquire(class.handle(self, "locker"), use_key_number(self, use_key)))
    self.Spec._busy[self] = true
end

--- Lets go of a use key; with the last one, the locker saves and gives up the key.
function Locker:MarkShouldRelease(use_key)
    local number = use_key_number(self, use_key)
    native.check(calls.locker_mark_should_release(class.handle(self, "locker"), number))
    if number > OTHER_USE_KEYS then
        self._use_keys[key_of(use_key)] = nil
    end
end

--- Notes a change. Writing to the save data does so itself.
Locker.MarkShouldSave = owner.command(calls.locker_mark_should_save, "locker")
--- Notes a change, and saves in the next update.
Locker.MarkForceSave = owner.command(calls.locker_mark_force_save, "locker")

--- Does all there is to do for this locker, once a frame, and tells its events. Never waits for the
-- storage. `now` as for a store, the same for all lockers of a spec. Gives true when the locker is idle and
-- may be destroyed. `Update` is the same.
function Locker:SessionUpdate(now)
    if now == nil then
        now = C.session_locker_now()
    end
    native.expect(now, "number", "now")
    local should_remove = ffi.new("int32_t[1]")
    local _, failure = events.run(self, "SessionUpdate", calls.locker_update, class.handle(self, "locker"),
        now, should_remove)
    if failure then
        error(failure, 0)
    end
    self.Spec._busy[self] = should_remove[0] ~= 1 and self._handle ~= nil or nil
    return should_remove[0] == 1 and self._handle ~= nil
end
Locker.Update = Locker.SessionUpdate

--- Says farewell to a locker that is idle; its last event is told inside this call, or with those that are
-- being told.
function Locker:MarkDeleted()
    local handle = class.handle(self, "locker")
    if self._is_busy then
        return native.check(calls.locker_mark_deleted(handle))
    end
    local _, failure = events.run(self, "MarkDeleted", calls.locker_mark_deleted, handle)
    if failure then
        error(failure, 0)
    end
end

--- Deletes a locker that is idle, if that has not been done, and frees it. Inside a hook or listener of its
-- own it is freed at the end of the update. Again does nothing.
function Locker:Destroy()
    if self._handle == nil then
        return
    elseif not self.IsDeleted then
        self:MarkDeleted()
    end
    if self._handle == nil or events.destroys_later(self) then
        return
    end
    local handle = self._handle
    native.check(calls.locker_destroy(handle))
    native.release(handle)
    self.Spec._lockers:put(handle, nil)
    self.Spec._busy[self] = nil
    rawset(self, "_handle", nil)
end

return lockers
