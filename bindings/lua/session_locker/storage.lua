--- Storage: where records are kept, opened by its URL; and the tools that read and write records beside
-- all sessions.

local ffi = require("ffi")
local class = require("session_locker.class")
local config = require("session_locker.config")
local json = require("session_locker.json")
local native = require("session_locker.native")
local stats = require("session_locker.stats")

local C, calls = native.C, native.calls

local Storage = {}
local meta = class.new(Storage, {})

-- How long a tool waits for the storage if it is not told, in seconds.
local TIMEOUT_S = 30

local storage = {}

local out = native.scratch("SlStorage *[1]")
local revision_buffer, ids_buffer = native.scratch("SlBuffer"), native.scratch("SlBuffer")
local is_present = native.scratch("int32_t[1]")

--- The object of a handle that was just opened.
function storage.wrap(handle)
    return setmetatable({ _handle = native.own(handle, "locker_storage_destroy") }, meta)
end

--- Opens a storage: "memory:", "memory:NAME" or "sqlite:PATH". Behind a "?" any of them takes limits,
-- "requests_per_second=N" and "requests_in_flight=N" with "&" between: saves go before loads before sends
-- and tools.
function storage.open(url)
    native.expect(url, "string", "a URL")
    native.check(calls.locker_storage_open(url, #url, out))
    return storage.wrap(out[0])
end

local function take(buffer)
    local text = ffi.string(buffer.data, buffer.length)
    C.session_locker_buffer_free(buffer)
    return text
end

local function handle_of(self)
    return class.handle(self, "storage")
end

local function timeout_of(timeout)
    return timeout == nil and TIMEOUT_S or native.expect(timeout, "number", "a timeout")
end

--- Reads the record under a key, and gives a table with `Bytes`, its document, `UserIds` and `Revision`;
-- nil if there is none, and then the revision of its absence. Blocks, for up to `timeout` seconds (30).
function Storage:Fetch(key, timeout)
    native.expect(key, "string", "a key")
    native.check(calls.locker_storage_fetch(handle_of(self), key, #key, timeout_of(timeout), is_present,
        native.buffer, revision_buffer, ids_buffer))
    local bytes, revision, user_ids = native.take_buffer(), take(revision_buffer), take(ids_buffer)
    if is_present[0] == 0 then
        return nil, revision
    end
    return { Bytes = bytes, Revision = revision, UserIds = json.decode(user_ids) }
end

-- The revision; nil and the error if the key is at another one than was expected.
local function revision_or_conflict(status)
    if status == native.CONFLICT then
        return nil, native.failure(status)
    end
    native.check(status)
    return take(revision_buffer)
end

--- Writes a record if its key is still at the revision that a fetch, or the last commit or erasure, has
-- given; it belongs to `user_ids` then. Gives the new revision; nil, and the error, if the key is at
-- another. Knows nothing of sessions: a locker that holds the key loses it. Blocks as `Fetch` does.
function Storage:Commit(key, bytes, expected, user_ids, timeout)
    native.expect(key, "string", "a key")
    native.expect(bytes, "string", "a document")
    native.expect(expected, "string", "a revision")
    local ids = config.user_ids(user_ids, "user ids")
    local texts, text_count = native.texts(ids, "user ids")
    local status = calls.locker_storage_commit(handle_of(self), key, #key, bytes, #bytes, texts, text_count,
        expected, #expected, timeout_of(timeout), revision_buffer)
    native.keep(ids)
    return revision_or_conflict(status)
end

--- Removes a record, if its key is at the expected revision; without one, whatever is there. Gives the
-- revision of the erasure; nil, and the error, if the key is at another. Blocks as `Fetch` does.
function Storage:Erase(key, expected, timeout)
    native.expect(key, "string", "a key")
    expected = native.expect(expected or "", "string", "a revision")
    return revision_or_conflict(calls.locker_storage_erase(handle_of(self), key, #key, expected, #expected,
        timeout_of(timeout), revision_buffer))
end

--- Lists up to `limit` keys (10 000, the most) that begin with `prefix`, in byte order, behind `after`,
-- which is the last key of the page before. Blocks as `Fetch` does.
function Storage:List(prefix, after, limit, timeout)
    prefix = native.expect(prefix or "", "string", "a prefix")
    after = native.expect(after or "", "string", "the key to go on behind")
    native.expect(limit or 0, "number", "a limit")
    native.check(calls.locker_storage_list(handle_of(self), prefix, #prefix, after, #after,
        limit or C.SL_MAX_LISTED_KEYS, timeout_of(timeout), native.buffer))
    return json.decode(native.take_buffer())
end

--- The keys of the records that belong to a user, in byte order: what an erasure request needs. Blocks as
-- `Fetch` does.
function Storage:KeysOfUser(user_id, timeout)
    local id = config.user_id(user_id, "a user id")
    native.check(calls.locker_storage_keys_of_user(handle_of(self), id, #id, timeout_of(timeout),
        native.buffer))
    return json.decode(native.take_buffer())
end

--- What was asked of it by all that were made with it and by tools, and how it has answered: a table as
-- `session_locker.stats` says.
function Storage:GetStats()
    return stats.read(calls.locker_storage_get_stats, handle_of(self))
end

--- Frees the handle. The storage closes when what was made with it is destroyed too. Again does nothing.
function Storage:Destroy()
    if self._handle ~= nil then
        local handle = native.release(self._handle)
        rawset(self, "_handle", nil)
        native.check(calls.locker_storage_destroy(handle))
    end
end

return storage
