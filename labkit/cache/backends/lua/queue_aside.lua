-- Moves a write that cannot be applied to those put aside. The one before it, if that waits as well,
-- is then the latest of its key; and the cache no longer holds what the source has refused.
-- KEYS: as in _generations, then: owner, stream, latest, last, room, aside
-- ARGV: token, channel, message, key, id, id of the write before it or '', reason
-- Answers 1, or 0 where somebody else owns the partition or the write is not there any more.
local aside, room, last = table.remove(KEYS), table.remove(KEYS), table.remove(KEYS)
local latest, stream, owner = table.remove(KEYS), table.remove(KEYS), table.remove(KEYS)
--!include _generations
--!include _queue
local key, id, before = ARGV[4], ARGV[5], ARGV[6]
if owned_by_another(owner, ARGV[1]) then return 0 end
local write = redis.call('XRANGE', stream, id, id)[1]
if not write then return 0 end
redis.call('XDEL', stream, id) -- first, since a server that is full refuses the rest
local moved = redis.call('XADD', aside, '*', 'id', id, 'reason', ARGV[7], unpack(write[2]))
if redis.call('HGET', latest, key) == id then
  if before == '' then
    redis.call('HDEL', latest, key)
  else
    redis.call('HSET', latest, key, before)
  end
  redis.call('HSET', last, key, moved)
  redis.call('UNLINK', value_key)
  local held = lease_held()
  if held then finish(held) end
  redis.call('PUBLISH', ARGV[2], ARGV[3])
end
tell_room(room)
return 1
