-- Answers how many writes wait, the oldest of them or nothing, how many were put aside, and the time.
-- KEYS: stream, aside
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
return {redis.call('XLEN', KEYS[1]), oldest and oldest[1] or false, redis.call('XLEN', KEYS[2]), redis.call('TIME')}
