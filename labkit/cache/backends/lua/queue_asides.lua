-- Answers the writes that were put aside, oldest first, each with 1 where its key was written since.
-- KEYS: aside, last. ARGV: how many
local found = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[1])
for i, write in ipairs(found) do
  local key = write[2][6]
  found[i] = {write[1], write[2], redis.call('HGET', KEYS[2], key) == write[1] and 0 or 1}
end
return found
