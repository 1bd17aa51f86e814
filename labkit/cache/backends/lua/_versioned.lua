-- KEYS: a hash of a value, v, and its version, n
local key = KEYS[1]
local value, version = unpack(redis.call('HMGET', key, 'v', 'n'))

local function store(new, n, ms)
  redis.call('HSET', key, 'v', new, 'n', n)
  if tonumber(ms) == 0 then
    redis.call('PERSIST', key)
  else
    redis.call('PEXPIRE', key, ms)
  end
end
