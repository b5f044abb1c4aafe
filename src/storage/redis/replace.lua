-- Writes the value and the revision of a record that is there and keeps its user ids, which is what nearly
-- every save does, in as few steps as it can be done. KEYS[1] is the record; ARGV[1] the revision that is
-- expected of it, ARGV[2] its user ids, ARGV[3] its new value, ARGV[4] the chance step. If it has other user
-- ids, nothing is written and the answer is "users": then the whole script is for it, which keeps the sorted sets
-- too.
local found = redis.call('HMGET', KEYS[1], 'revision', 'users')
local revision, user_ids = found[1], found[2]
if revision ~= ARGV[1] or not user_ids then
    return false
end
if user_ids ~= ARGV[2] then
    return 'users'
end
-- As the whole script reckons it.
local time = redis.call('TIME')
local new_revision = time[1] * 1000000 + time[2]
if new_revision <= tonumber(revision) then
    new_revision = revision + ARGV[4]
end
new_revision = string.format('%d', new_revision)
redis.call('HSET', KEYS[1], 'revision', new_revision, 'bytes', ARGV[3])
return new_revision
