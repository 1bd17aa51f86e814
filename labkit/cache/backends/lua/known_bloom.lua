-- Puts ids into a Bloom filter: a header, then bits. The values are numbers of bits.
local function stands(key)
  local header = redis.call('GETRANGE', key, 0, #ARGV[2] - 1)
  if header == '' then return 0 end
  return header == ARGV[2] and 1 or -1
end

local function create(key)
  redis.call('SET', key, ARGV[2])
end

local function put(key)
  for i = 4, #ARGV do redis.call('SETBIT', key, ARGV[i], 1) end
end

--!include _known
