-- Removes writes that were applied, and forgets those of them that were the latest of their keys.
-- KEYS: owner, stream, latest, room. ARGV: token, then a key and an id for each write
-- Answers the server's time; nothing where somebody else owns the partition.
--!include _queue
if owned_by_another(KEYS[1], ARGV[1]) then return false end
for i = 2, #ARGV, 2 do
  local key, id = ARGV[i], ARGV[i + 1]
  redis.call('XDEL', KEYS[2], id)
  if redis.call('HGET', KEYS[3], key) == id then redis.call('HDEL', KEYS[3], key) end
end
tell_room(KEYS[4])
return redis.call('TIME')
