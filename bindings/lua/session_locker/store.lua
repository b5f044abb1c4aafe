--- EasyStore: sessions for a whole game server. One `store:Update(now)` a frame drives everything.

local ffi = require("ffi")
local class = require("session_locker.class")
local config = require("session_locker.config")
local events = require("session_locker.events")
local hooks = require("session_locker.hooks")
local native = require("session_locker.native")
local owner = require("session_locker.owner")
local Profile = require("session_locker.profile")
local SavedConnection = require("session_locker.saved_connection")
local send = require("session_locker.send")
local stats = require("session_locker.stats")

local C, calls = native.C, native.calls

local EasyStore, getters = {}, {}
local meta = class.new(EasyStore, getters)

-- `Event(event)`: every event of the store, as a table with `Key`, `Owner`, which is the profile while it is
-- there, `Kind`, and what belongs to that: "lifecycle" (`Status`, `Reason`), "load_status" (`LoadStatus`),
-- "error" (`Activity`, `ErrorKind`, `Message`, `ProductId`), "lost" (`Document`, a table), "changes_saved"
-- (`Outcome`), "product_credit_changed" (`ProductId`, `Amount`), "purchase" (`ProductId`, `PurchaseId`,
-- `WasGranted`), "remote_changes_sent" (`SendId`, `Outcome`).
owner.add_signals(getters, { "Event" })
send.add(EasyStore, "SendRemoteChanges", "YieldUntilRemoteChangesSent",
    calls.easy_store_send_remote_changes, "store")

local function handle_of(store)
    return class.handle(store, "store")
end

local NO_FIELDS = {}

--- Makes a store for the records of a storage. `create(key, data)` makes a new document: it returns its
-- fields, or writes them to `data`. A configuration, a table, may stand in its place or behind it.
--
-- Destroy the store in the end, after `Drain`: while its hooks are alive, the collector does not.
local function EasyStoreCreate(storage, create, given)
    if type(create) == "table" then
        create, given = nil, create
    end
    given = given or NO_FIELDS
    if create ~= nil then
        local with_create = { SaveDataCreator = create }
        for name, value in pairs(given) do
            with_create[name] = value
        end
        given = with_create
    end
    local struct = ffi.new("SlEasyStoreConfig")
    native.check(C.easy_store_config_init(struct, ffi.sizeof(struct)))
    local entry, texts = config.fill(struct, given, NO_FIELDS)
    local out, storage_handle = ffi.new("SlEasyStore *[1]"), class.handle(storage, "storage")
    local user_data = hooks.enter(entry)
    struct.user_data = user_data
    native.check(hooks.forget_if_refused(
        calls.easy_store_create(storage_handle, struct, out), user_data))
    native.keep(texts)
    native.keep(given)
    return setmetatable({
        _handle = native.own(out[0], "easy_store_destroy"),
        _objects = events.Handles.new(),
        _heard = events.Handles.new(),
        _waits = events.Handles.new(),
        _poll = calls.easy_store_poll_event,
        _loaded = {},
    }, meta)
end

local profile_out = native.scratch("SlProfile *[1]")

local function start(store, call, key, options)
    native.expect(key, "string", "a key")
    local struct, keep = config.session_options(options)
    native.check(call(handle_of(store), key, #key, struct, profile_out))
    native.keep(keep)
    local profile = Profile.new(profile_out[0], store)
    store._objects:put(profile._handle, profile)
    return profile
end

--- Begins a session for a key, and gives its profile, which is loaded once the key is ours. `options` may
-- have `UserIds`, whom the record belongs to, `LogPrefix`, and `DisableApis`, for players without records
-- of their own.
function EasyStore:StartSession(key, options)
    return start(self, calls.easy_store_start_session, key, options)
end

--- Like `StartSession`, but joins the session that this store has of the key, if it has one.
function EasyStore:StartSessionReusable(key, options)
    return start(self, calls.easy_store_start_session_reusable, key, options)
end

-- Profiles that somebody waits for who were loaded already.
function EasyStore:_answer_loaded_later(profile)
    self._loaded[#self._loaded + 1] = profile
end

local function answer_loaded(store)
    local loaded = store._loaded
    if #loaded > 0 then
        rawset(store, "_loaded", {})
        for _, profile in ipairs(loaded) do
            if profile.IsLoaded then
                events.answer_loading(profile, profile)
            end
        end
    end
end

--- Does all there is to do, once a frame: loads, saves, runs hooks, tells events, resumes coroutines.
-- Never waits for the storage. `now` is in seconds that never run backwards, time asleep included; without
-- it, it is what `Now()` says.
function EasyStore:Update(now)
    if now == nil then
        now = C.session_locker_now()
    end
    native.expect(now, "number", "now")
    local _, failure = events.run(self, "Update", calls.easy_store_update, handle_of(self), now)
    answer_loaded(self)
    if failure then
        error(failure, 0)
    end
end

--- What its sessions and sends have asked of the storage, how it has answered, and how many wait for the
-- limits of the store's configuration: a table as `session_locker.stats` says.
function EasyStore:GetStats()
    return stats.read(calls.easy_store_get_stats, handle_of(self))
end

--- Begins shutdown: no session starts any more, and all end, in the updates that follow, until `IsClosed`.
function EasyStore:Close()
    native.check(calls.easy_store_close(handle_of(self)))
end

local flag = native.scratch("int32_t[1]")

--- Whether the store was closed, every session is released, and all purchases and sends are answered.
function getters:IsClosed()
    if self._handle == nil then
        return true
    end
    native.check(calls.easy_store_is_closed(self._handle, flag))
    return flag[0] == 1
end

local count = native.scratch("size_t[1]")

local function read_report(report)
    local told = { Unsaved = {}, Unsent = {} }
    native.check(C.drain_report_unsaved_count(report, count))
    local unsaved = ffi.new("SlUnsaved", { struct_size = ffi.sizeof("SlUnsaved") })
    for at = 1, tonumber(count[0]) do
        native.check(C.drain_report_get_unsaved(report, at - 1, unsaved))
        told.Unsaved[at] = {
            Key = native.text(unsaved.key),
            Outcome = events.OUTCOMES[unsaved.outcome],
            Reason = native.text(unsaved.reason),
        }
    end
    native.check(C.drain_report_unsent_count(report, count))
    local unsent = ffi.new("SlUnsent", { struct_size = ffi.sizeof("SlUnsent") })
    for at = 1, tonumber(count[0]) do
        native.check(C.drain_report_get_unsent(report, at - 1, unsent))
        told.Unsent[at] = {
            Key = native.text(unsent.key),
            Outcome = events.SEND_OUTCOMES[unsent.outcome],
            Reason = native.text(unsent.reason),
            ChangeCount = tonumber(unsent.change_count),
        }
    end
    return told
end

--- Closes the store, and updates it until all is done or `timeout` seconds have passed. Blocks; for
-- shutdown. Gives a report: `Unsaved`, an array of the keys that were not released in time (`Key`,
-- `Outcome`, `Reason`), and `Unsent`, of those to which remote changes were not sent (`ChangeCount` too).
function EasyStore:Drain(timeout)
    native.expect(timeout, "number", "a timeout")
    local out = ffi.new("SlDrainReport *[1]")
    local _, failure = events.run(self, "Drain", calls.easy_store_drain, handle_of(self), timeout, out)
    if failure then
        error(failure, 0)
    end
    local report = native.own(out[0], "drain_report_destroy")
    local told = read_report(report)
    native.check(calls.drain_report_destroy(native.release(report)))
    return told
end

local function forget(store, profile)
    store._objects:put(profile._handle, nil)
    store._heard:put(profile._handle, nil)
end

-- Events call this when a profile has said its last.
function EasyStore:_finished(profile)
    forget(self, profile)
    profile:_end(false)
end

--- Frees the store, and its profiles with it. Sessions that are not released by then are left to expire,
-- and whoever waits is answered: so drain it first. Inside a hook or listener of its own it takes effect
-- at the end of the update. Again does nothing.
function EasyStore:Destroy()
    if self._handle == nil or events.destroys_later(self) then
        return
    end
    local handle = native.release(self._handle)
    rawset(self, "_handle", nil)
    native.check(calls.easy_store_destroy(handle))
    local profiles = self._objects:all()
    for _, profile in ipairs(profiles) do
        forget(self, profile)
        profile:_end(true)
    end
    -- Who waits hears when all are ended, for it may ask any of them.
    for _, profile in ipairs(profiles) do
        events.answer_loading(profile, nil)
    end
    SavedConnection.answer_all(self)
    events.tell_answers()
end

return EasyStoreCreate
