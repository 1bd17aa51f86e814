-- Answers the eviction policy where the server may evict any key, such as the queue; else nothing.
-- KEYS: stream
local info = redis.pcall('INFO', 'memory')
if type(info) ~= 'string' then return false end -- it does not tell
local most, policy = string.match(info, 'maxmemory:(%d+)'), string.match(info, 'maxmemory_policy:([%w-]+)')
if most and policy and tonumber(most) > 0 and string.find(policy, '^allkeys') then return policy end
return false
