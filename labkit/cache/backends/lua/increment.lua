-- Adds to a counter, which has a time to live from its first use on; answers what it is then.
-- KEYS: the counter
-- ARGV: what to add, time to live in ms (0: none)
local new = redis.call('EXISTS', KEYS[1]) == 0
redis.call('INCRBY', KEYS[1], ARGV[1])
if new and tonumber(ARGV[2]) > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return redis.call('GET', KEYS[1]) -- what INCRBY answers is rounded, if large
