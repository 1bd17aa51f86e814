-- Gives a value a new time to live, which its tags then have too; answers 1, 0 where there is none.
-- ARGV: time to live in ms, what the keys of tags begin with
--!include _generations
local ms = tonumber(ARGV[1])
local value = redis.call('MGET', value_key)[1]
if not value then return 0 end
redis.call('PEXPIRE', value_key, ms)
local count = string.byte(value, 3) or 1
if count > 1 then
  local start = 4 + 8 * count
  local high, low = string.byte(value, start, start + 1)
  if low then
    local names = string.sub(value, start + 2, start + 1 + 256 * high + low)
    for tag in string.gmatch(names, '[^%z]+') do table.insert(KEYS, ARGV[2] .. tag) end
    outlive(ms)
  end
end
return 1
