
-- Writes the record. ARGV[3] is its value, ARGV[4] its user ids, ARGV[5] the chance step. The record comes last:
-- should the server refuse something before it, there is at worst an entry too many by which to find it.
local bytes, new_user_ids = ARGV[3], ARGV[4]
local new_revision = next_revision(ARGV[5])
if not user_ids then
    redis.call('ZADD', keys, 0, key)
    if revision then
        redis.call('PERSIST', record)
    end
end
if new_user_ids ~= (user_ids or '') then
    local old, new = entries(user_ids or ''), entries(new_user_ids)
    for entry in pairs(new) do
        redis.call('ZADD', users, 0, entry .. key)
    end
    for entry in pairs(old) do
        if not new[entry] then
            redis.call('ZREM', users, entry .. key)
        end
    end
end
redis.call('HSET', record, 'revision', new_revision, 'users', new_user_ids, 'bytes', bytes)
return new_revision
