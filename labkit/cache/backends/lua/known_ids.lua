-- Puts ids into a set, one member of which shows that it was built. The values are ids.
local function stands(key)
  return redis.call('SISMEMBER', key, ARGV[2])
end

local function create(key)
  redis.call('SADD', key, ARGV[2])
end

local function put(key)
  for i = 4, #ARGV do redis.call('SADD', key, ARGV[i]) end
end

--!include _known
