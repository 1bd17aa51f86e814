-- Answers the latest waiting write of each key, with its id, or nothing.
-- KEYS: stream, latest. ARGV: the keys
local found = {}
for i, id in ipairs(redis.call('HMGET', KEYS[2], unpack(ARGV))) do
  found[i] = id and redis.call('XRANGE', KEYS[1], id, id)[1] or false
end
return found
