
-- Leaves a tombstone. ARGV[3] is for how many milliseconds it stays, ARGV[4] the chance step. It begins with a
-- command that takes no memory, for Redis lets a script that has written go on: so erasing helps a server that
-- is full. Of those it is the one that a user made for an older version may be denied, and with it all.
-- The record itself is never away: a node that is giving its slot to another refuses what concerns a key
-- that it has no more, even in the middle of a script.
local new_revision = next_revision(ARGV[4])
if user_ids then
    redis.call('HDEL', record, 'users', 'bytes')
end
redis.call('ZREM', keys, key)
for entry in pairs(entries(user_ids or '')) do
    redis.call('ZREM', users, entry .. key)
end
if tonumber(new_revision) > tonumber(redis.call('GET', floor) or 0) then
    redis.call('SET', floor, new_revision)
end
redis.call('HSET', record, 'revision', new_revision)
redis.call('PEXPIRE', record, ARGV[3])
return new_revision
