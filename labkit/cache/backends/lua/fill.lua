-- Stores what was loaded, unless it was invalidated meanwhile; answers 1 or 0.
-- ARGV: token, generations and epoch of the claim, time to live in ms (0: none), body, channel, message
--!include _generations
local held = lease_held()
if not held or string.sub(held, 1, 16) ~= ARGV[1] then return 0 end
finish(held)
local current = generations()
if current ~= ARGV[2] or redis.call('MGET', epoch_key)[1] ~= ARGV[3] then return 0 end
store(ARGV[5], tonumber(ARGV[4]), current, ARGV[6], ARGV[7])
return 1
