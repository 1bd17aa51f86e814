-- Stores a value where there is none; answers the value that is there now, and its version.
-- ARGV: value, first version of a new key, time to live in ms (0: none)
--!include _versioned
if value then return {value, version} end
store(ARGV[1], ARGV[2], ARGV[3])
return {ARGV[1], ARGV[2]}
