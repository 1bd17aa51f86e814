-- Applies states to the generation that a rebuild is making.
-- ARGV  1 its name, 2 for how long it may go on without a word (ms),
--       3 for how long what is not seen is remembered (ms), 4 the states
-- Answers 0 where it is no longer the one that is made.
--!include _views
--!include _put
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
local at = start(KEYS[2])
for _, state in ipairs(states(4)) do
  put(at, state, ARGV[3])
end
return 1
