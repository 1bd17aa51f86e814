-- Puts a write into the queue and its value into the cache, both or neither.
-- KEYS: as in _generations, then: stream, latest, last, room
-- ARGV: a fresh generation, time to live in ms (0: none, -1: it is not kept), body, channel, message,
--       most, key, name, length of the body's head (-1: a deletion)
-- Answers the id, and whether the queue was full, for which it answers the last id of its note.
local room, last = table.remove(KEYS), table.remove(KEYS)
local latest, stream = table.remove(KEYS), table.remove(KEYS)
--!include _generations
--!include _queue
if redis.call('XLEN', stream) >= tonumber(ARGV[6]) then
  local note = redis.call('XREVRANGE', room, '+', '-', 'COUNT', 1)[1]
  return {note and note[1] or '0-0', 1}
end
local key, skip = ARGV[7], tonumber(ARGV[9])
local fields = {'key', key, 'name', ARGV[8]}
if skip >= 0 then
  fields[5], fields[6] = 'value', string.sub(ARGV[3], skip + 1)
end
local id = append(stream, fields) -- first, since a server that is full refuses this, and then all of it
redis.call('HSET', latest, key, id)
redis.call('HDEL', last, key)
local held = lease_held()
if held then finish(held) end
local ms = tonumber(ARGV[2])
if ms < 0 then
  redis.call('UNLINK', value_key)
  redis.call('PUBLISH', ARGV[4], ARGV[5])
else
  store(ARGV[3], ms, generations(ARGV[1], ms), ARGV[4], ARGV[5])
end
return {id, 0}
