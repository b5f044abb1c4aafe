-- What both scripts begin with. KEYS are those of the record's partition: the record, the sorted set of
-- keys, the sorted set of users, and the floor. ARGV[1] is what is expected of the record, ARGV[2] its key.
local record, keys, users, floor = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local expected, key = ARGV[1], ARGV[2]

local found = redis.call('HMGET', record, 'revision', 'users')
local revision, user_ids = found[1], found[2]
local state = 'never'
if user_ids then
    state = 'present ' .. revision
elseif revision then
    state = 'erased ' .. revision
end
if expected ~= 'any' and expected ~= state then
    return false
end

-- The server's clock in microseconds, or if that is behind, more than what may have been before, by a chance
-- step that the client has cast: a key that has a revision goes on from there, and one that has none from the
-- floor. This stays below 2^53 until 2255.
local function next_revision(step)
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    local least = tonumber(revision or redis.call('GET', floor) or 0) + step
    return string.format('%d', math.max(now, least))
end

-- The entries of a list of user ids, LENGTH:USER one behind another.
local function entries(text)
    local list, at = {}, 1
    while at <= #text do
        local colon = string.find(text, ':', at, true)
        local last = colon + tonumber(string.sub(text, at, colon - 1))
        list[string.sub(text, at, last)] = true
        at = last + 1
    end
    return list
end
