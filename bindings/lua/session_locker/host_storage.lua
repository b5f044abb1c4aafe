--- A storage of the script's own: functions that are asked for records, and that answer now or later.

local ffi = require("ffi")
local class = require("session_locker.class")
local config = require("session_locker.config")
local hooks = require("session_locker.hooks")
local native = require("session_locker.native")
local storage = require("session_locker.storage")

local C, calls = native.C, native.calls

--- A request: the right, and the duty, to answer it once, with one of its methods. `clock` is always the
-- storage's own, in Unix seconds; nil if it has none.
local Request = {}
local request_meta = class.new(Request, {})

local function answer(self, call, ...)
    native.check(call(class.handle(self, "request"), ...))
    rawset(self, "_handle", nil)
end

local function revision_of(revision)
    return native.expect(revision, "string", "a revision"), #revision
end

--- To `Fetch`: the record is there.
function Request:Fetched(bytes, revision, user_ids, clock)
    native.expect(bytes, "string", "a document")
    local ids = config.user_ids(user_ids, "user ids")
    local texts, count = native.texts(ids, "user ids")
    local text, length = revision_of(revision)
    answer(self, calls.storage_request_fetched, bytes, #bytes, text, length, texts, count, clock or 0)
    native.keep(ids)
end

--- To `Fetch`: there is no record; with the revision of its erasure, if there was one.
function Request:Absent(revision, clock)
    local text, length = nil, 0
    if revision ~= nil then
        text, length = revision_of(revision)
    end
    answer(self, calls.storage_request_absent, text, length, clock or 0)
end

--- To `Commit`: it is written, and durable; with the record's new revision.
function Request:Committed(revision, clock)
    local text, length = revision_of(revision)
    answer(self, calls.storage_request_committed, text, length, clock or 0)
end

--- To `Erase`: it is durable; with the revision that it left.
function Request:Erased(revision, clock)
    local text, length = revision_of(revision)
    answer(self, calls.storage_request_erased, text, length, clock or 0)
end

--- To `Commit` or `Erase`: the key is not as expected. Nothing was written, nor ever will be.
function Request:Conflict(clock)
    answer(self, calls.storage_request_conflict, clock or 0)
end

--- To `List` or `KeysOfUser`: an array of keys, in byte order.
function Request:Keys(keys)
    local texts, count = native.texts(native.expect(keys, "table", "keys"), "keys")
    answer(self, calls.storage_request_keys, texts, count)
    native.keep(keys)
end

local KINDS = {
    script = C.SL_REQUEST_ERROR_SCRIPT,
    misc = C.SL_REQUEST_ERROR_MISC,
    backend = C.SL_REQUEST_ERROR_BACKEND,
}

--- To any: it failed, or nobody knows whether it did. `kind` is "script", "misc" or "backend".
function Request:Failed(kind, message, clock)
    native.expect(message, "string", "a message")
    local number = KINDS[kind] or native.misuse("a failure is script, misc or backend")
    answer(self, calls.storage_request_failed, number, message, #message, clock or 0)
end

local function new_request(handle)
    return setmetatable({ _handle = handle }, request_meta)
end

-- ---- What is asked ---------------------------------------------------------------------------

local EXPECTED = {
    [C.SL_EXPECTED_PRESENT] = "present",
    [C.SL_EXPECTED_ABSENT] = "absent",
    [C.SL_EXPECTED_ANY] = "any",
}

local function fetch(entry, request, key, key_length)
    entry.Fetch(new_request(request), ffi.string(key, key_length))
    return native.OK
end

local function commit(entry, request, asked)
    local user_ids = {}
    for at = 1, tonumber(asked.user_id_count) do
        user_ids[at] = native.text(asked.user_ids[at - 1])
    end
    entry.Commit(new_request(request), {
        Key = native.text(asked.key),
        Bytes = native.text(asked.bytes),
        Expected = EXPECTED[asked.expected],
        Revision = native.text(asked.revision),
        UserIds = user_ids,
    })
    return native.OK
end

local function erase(entry, request, key, key_length, expected, revision, revision_length)
    entry.Erase(new_request(request), {
        Key = ffi.string(key, key_length),
        Expected = EXPECTED[expected],
        Revision = ffi.string(revision, revision_length),
    })
    return native.OK
end

local function list(entry, request, prefix, prefix_length, after, after_length, limit)
    entry.List(new_request(request), ffi.string(prefix, prefix_length), ffi.string(after, after_length),
        tonumber(limit))
    return native.OK
end

local function keys_of_user(entry, request, user_id, user_id_length)
    entry.KeysOfUser(new_request(request), ffi.string(user_id, user_id_length))
    return native.OK
end

local FUNCTIONS = {
    Fetch = { "fetch", fetch },
    Commit = { "commit", commit },
    Erase = { "erase", erase },
    List = { "list", list },
    KeysOfUser = { "keys_of_user", keys_of_user },
}

local LIMITS = { RequestsPerSecond = "requests_per_second", RequestsInFlight = "requests_in_flight" }

-- The C functions, one of each for all storages; the struct that they stand in says their types.
local made = {}

local function callback(struct, name)
    if made[name] == nil then
        local field, body = FUNCTIONS[name][1], FUNCTIONS[name][2]
        struct[field] = function(...)
            return hooks.answer(body, ...)
        end
        made[name] = struct[field]
    end
    return made[name]
end

--- Makes a storage of a table of functions, which are called inside updates, waits and the tools:
--
-- - `Fetch(request, key)`: `request:Fetched(…)` or `request:Absent(…)`;
-- - `Commit(request, commit)`: write `commit.Bytes` and `commit.UserIds` under `commit.Key` if the record is
--   there at `commit.Revision` (`commit.Expected` is "present"), or not there, its last erasure having that
--   revision or, if it is empty, none ("absent"): `request:Committed(…)` or `request:Conflict()`;
-- - `Erase(request, erase)`: `Key`, `Expected` ("any" too), `Revision`: `request:Erased(…)` or `Conflict`;
-- - `List(request, prefix, after, limit)`, `KeysOfUser(request, user_id)`: `request:Keys(…)`. May be left out.
--
-- Each request is answered once, now or later; `request:Failed(…)` answers any, and an error in a function
-- does. A revision, 1 to 64 bytes, is never used twice for a key, across erasures too. A fetch sees every
-- commit that was answered before it. What is committed is durable. No function may block or yield.
--
-- `limits` may have `RequestsPerSecond` and `RequestsInFlight`, up to 1 000 000: the functions are called for
-- no more requests in any second, and there are no more to be answered at any time. What may not go yet
-- waits: saves before loads before sends and tools.
local function StorageOpenHost(functions, limits)
    native.expect(functions, "table", "a storage's functions")
    limits = native.expect(limits or {}, "table", "the limits")
    local struct = ffi.new("SlStorageCallbacks")
    native.check(C.locker_storage_callbacks_init(struct, ffi.sizeof(struct)))
    for name, body in pairs(functions) do
        if FUNCTIONS[name] == nil then
            native.misuse("a storage has no function " .. tostring(name))
        end
        native.expect(body, "function", name)
        struct[FUNCTIONS[name][1]] = callback(struct, name)
    end
    for name, limit in pairs(limits) do
        local field = LIMITS[name] or native.misuse("a storage has no limit " .. tostring(name))
        -- Before C cuts off what does not fit.
        if native.expect(limit, "number", name) < 0 or limit > 1e6 or limit ~= math.floor(limit) then
            native.refuse("SL_ERROR_OUT_OF_RANGE", name .. " is an integer from 0 to 1000000")
        end
        struct[field] = limit
    end
    struct.drop = hooks.callback("SlDrop")
    local entry = {}
    for name, body in pairs(functions) do
        entry[name] = body
    end
    local out = ffi.new("SlStorage *[1]")
    local user_data = hooks.enter(entry)
    native.check(hooks.forget_if_refused(calls.locker_storage_open_host(struct, user_data, out), user_data))
    return storage.wrap(out[0])
end

return StorageOpenHost
