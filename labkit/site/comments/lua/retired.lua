-- The generations that nobody reads or makes any more; none of them comes back.
--!include _views
local live, next_one = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])
local found = {}
for _, name in ipairs(redis.call('SMEMBERS', root .. 'generations')) do
  if name ~= live and name ~= next_one then
    found[#found + 1] = name
  end
end
return found
