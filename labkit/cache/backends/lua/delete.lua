-- Deletes a value and refuses the loads of it that are under way; answers how many values there were.
-- ARGV: channel, message
--!include _generations
local gone = redis.call('UNLINK', value_key) -- first, since a server that is full refuses the rest
local held = lease_held()
if held then finish(held) end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return gone
