-- Gives a claim back without a value.
-- ARGV: token
--!include _generations
local held = lease_held()
if not held or string.sub(held, 1, 16) ~= ARGV[1] then return 0 end
finish(held)
return 1
