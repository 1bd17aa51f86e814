-- Stores a value, whoever loads it meanwhile.
-- ARGV: a fresh generation, time to live in ms (0: none), body, channel, message
--!include _generations
local held = lease_held()
if held then finish(held) end
local ms = tonumber(ARGV[2])
store(ARGV[3], ms, generations(ARGV[1], ms), ARGV[4], ARGV[5])
return 1
