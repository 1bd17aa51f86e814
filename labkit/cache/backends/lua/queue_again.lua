-- Puts a write that was put aside into the queue again, as a new one, unless a later one of its key was.
-- KEYS: as in _generations, then: stream, latest, last, aside
-- ARGV: channel, message, key, id among those put aside
-- Answers 1, or 0 where the key was written since, or the write is not there any more.
local aside, last = table.remove(KEYS), table.remove(KEYS)
local latest, stream = table.remove(KEYS), table.remove(KEYS)
--!include _generations
--!include _queue
local key, id = ARGV[3], ARGV[4]
local write = redis.call('XRANGE', aside, id, id)[1]
if not write or redis.call('HGET', last, key) ~= id then return 0 end
local fields = {}
for i = 5, #write[2] do fields[i - 4] = write[2][i] end -- without its old id and the reason
redis.call('HSET', latest, key, append(stream, fields))
redis.call('XDEL', aside, id)
redis.call('HDEL', last, key)
redis.call('UNLINK', value_key)
local held = lease_held()
if held then finish(held) end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1
