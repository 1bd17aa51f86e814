-- Answers the key of a write that was put aside, or nothing.
-- KEYS: aside. ARGV: its id
local write = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
return write and write[2][6]
