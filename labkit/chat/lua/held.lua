-- KEYS: work. ARGV: group, most. Answers id, consumer, idle milliseconds and deliveries of each.
local found = redis.pcall('XPENDING', KEYS[1], ARGV[1], '-', '+', ARGV[2])
if found.err and tostring(found.err):find('NOGROUP', 1, true) then
  return {}
end
return found
