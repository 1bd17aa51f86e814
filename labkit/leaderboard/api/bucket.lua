-- Takes a token out of a bucket, if there is one.
--
-- KEYS  1 bucket: a hash of its tokens and of the moment at which they were counted
-- ARGV  1 how many it holds, 2 seconds in which it fills up, 3 now (s)
-- Answers whether there was a token, the whole tokens left, the milliseconds until there is one,
-- and those until the bucket is full.
local most, period, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(kept[1]) or most, tonumber(kept[2]) or now
local each = period / most

-- The clocks of two processes may differ: time never goes back.
now = math.max(at, now)
tokens = math.min(most, tokens + (now - at) / each)
local taken = tokens >= 1
if taken then
  tokens = tokens - 1
end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.17g', tokens),
  'at', string.format('%.17g', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(period * 1000))
local wait = math.max(0, math.ceil((1 - tokens) * each * 1000))
return { taken and 1 or 0, math.floor(tokens), wait, math.ceil((most - tokens) * each * 1000) }
