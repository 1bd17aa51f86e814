-- Takes the right to load a key, or says why not.
-- ARGV: token (16 bytes, the first of which is 'W' for a write), lease in ms, a fresh generation, how,
--       and where a value is dropped: channel, message. How it is taken:
--       ''       where nothing is stored
--       'over'   whatever is stored
--       'force'  whatever is stored, and from whoever loads
--       'write'  whatever is stored, which is dropped
-- Answers {'value', value, ms left}, {'busy', ms left} or {'granted', generations, epoch}.
--!include _generations
local lease = tonumber(ARGV[2])
local current = generations(ARGV[3], lease)
local value, held, epoch = unpack(redis.call('MGET', value_key, lease_key, epoch_key))
local how = ARGV[4]
if how ~= 'force' or held and string.sub(held, 1, 1) == 'W' then
  if how == '' and value and string.sub(value, 1, 2) == '\193\1' and string.byte(value, 3) == #KEYS - FIRST + 1
      and string.sub(value, 4, 3 + #current) == current then
    return {'value', value, redis.call('PTTL', value_key)}
  end
  local left = held and redis.call('PTTL', lease_key) or -1
  if left >= 0 and string.sub(held, 1, 16) ~= ARGV[1] then
    if #held == 16 then redis.call('APPEND', lease_key, 'w') end
    return {'busy', left}
  end
end
outlive(lease)
redis.call('SET', lease_key, ARGV[1], 'PX', lease)
if how == 'write' then
  redis.call('UNLINK', value_key)
  redis.call('PUBLISH', ARGV[5], ARGV[6])
end
redis.call('DEL', note_key)
if not epoch then
  epoch = ARGV[3]
  redis.call('SET', epoch_key, epoch)
end
return {'granted', current, epoch}
