--- A storage of the script's own, in memory, that can be made to fail: `fails_with`, a message; `loses`, to
-- write and then say that it has failed; `is_silent`, not to answer.

local sl = require("session_locker")

local memory = {}

local function after(records, prefix, from, limit)
    local keys = {}
    for key, record in pairs(records) do
        if record.bytes and key:sub(1, #prefix) == prefix and key > from then
            keys[#keys + 1] = key
        end
    end
    table.sort(keys)
    while #keys > limit do
        keys[#keys] = nil
    end
    return keys
end

local function new_host()
    local host = { records = {}, last_revision = 0, requests = 0, waiting = {} }

    -- Whether the request is answered here already, by a failure, or is to be left without an answer.
    local function is_off(request)
        host.requests = host.requests + 1
        if host.is_silent then
            host.waiting[#host.waiting + 1] = request
            return true
        elseif host.fails_with then
            request:Failed(host.kind or "backend", host.fails_with)
            return true
        elseif host.throws then
            error(host.throws, 0)
        end
        return false
    end

    local function next_revision()
        host.last_revision = host.last_revision + 1
        return "r" .. host.last_revision
    end

    local function is_expected(asked)
        local record = host.records[asked.Key] or {}
        if asked.Expected == "any" then
            return true
        elseif (asked.Expected == "present") ~= (record.bytes ~= nil) then
            return false
        end
        return (record.revision or "") == asked.Revision
    end

    host.functions = {
        Fetch = function(request, key)
            local record = host.records[key]
            if is_off(request) then
                return
            elseif record and record.bytes then
                request:Fetched(record.bytes, record.revision, record.user_ids)
            else
                request:Absent(record and record.revision)
            end
        end,
        Commit = function(request, asked)
            if is_off(request) then
                return
            elseif not is_expected(asked) then
                return request:Conflict()
            end
            local revision = next_revision()
            host.records[asked.Key] = { bytes = asked.Bytes, user_ids = asked.UserIds, revision = revision }
            if host.loses then
                return request:Failed("misc", "the answer was lost")
            end
            request:Committed(revision)
        end,
        Erase = function(request, asked)
            if is_off(request) then
                return
            elseif not is_expected(asked) then
                return request:Conflict()
            end
            local revision = next_revision()
            host.records[asked.Key] = { revision = revision }
            request:Erased(revision)
        end,
        List = function(request, prefix, from, limit)
            if not is_off(request) then
                request:Keys(after(host.records, prefix, from, limit))
            end
        end,
        KeysOfUser = function(request, user_id)
            local keys = {}
            for key, record in pairs(host.records) do
                for _, id in ipairs(record.user_ids or {}) do
                    keys[#keys + 1] = id == user_id and key or nil
                end
            end
            table.sort(keys)
            request:Keys(keys)
        end,
    }
    return host
end

--- Functions of a storage that nobody can make fail.
function memory.functions()
    return new_host().functions
end

--- A storage; to be destroyed by hand, for its functions know it.
function memory.new()
    local host = new_host()
    host.storage = sl.StorageOpenHost(host.functions)
    return host
end

return memory
