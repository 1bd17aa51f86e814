-- Moves the expiries of keys from what they were to what they shall be; -1 is never.
-- ARGV: 1 "do", or "look" to tell only which were moved; for each key the one and the other, in ms.
--!include bulk_common
local looking = ARGV[1] == 'look'
local came = {}

for at, key in ipairs(KEYS) do
  local from, to = tonumber(ARGV[2 * at]), tonumber(ARGV[2 * at + 1])
  local is = expiry(key)
  if is == -2 then
    came[at] = GONE
  elseif near(is, to) then
    came[at] = CHANGED
  elseif looking or not near(is, from) then
    came[at] = AGAIN
  elseif to == -1 then
    redis.call('PERSIST', key)
    came[at] = CHANGED
  else
    redis.call('PEXPIREAT', key, ARGV[2 * at + 1])
    came[at] = to > now and CHANGED or GONE
  end
end
return came
