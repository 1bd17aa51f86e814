-- Which keys there are, 1 or 0 for each.
-- ARGV: 1 their database or "", 2 that of the client.
--!include bulk_common
return within(ARGV[1], ARGV[2], function()
  local found = {}
  for at, key in ipairs(KEYS) do found[at] = redis.call('EXISTS', key) end
  return found
end)
