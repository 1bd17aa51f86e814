-- Stores a value where the version is the expected one; answers the new version, or nothing.
-- ARGV: value, expected version (0: no value), first version of a new key, time to live in ms (0: none)
--!include _versioned
if (value and version or '0') ~= ARGV[2] then return false end
if value then
  redis.call('HINCRBY', key, 'n', 1) -- what it answers is rounded, if large
  store(ARGV[1], redis.call('HGET', key, 'n'), ARGV[4])
else
  store(ARGV[1], ARGV[3], ARGV[4])
end
return redis.call('HGET', key, 'n')
