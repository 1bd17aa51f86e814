--!include _content
-- KEYS: work, dead. ARGV: id, longest. Answers the new id, or nothing where there is no such.
local entry = redis.call('XRANGE', KEYS[2], ARGV[1], ARGV[1])[1]
if not entry then
  return false
end
redis.call('XDEL', KEYS[2], ARGV[1])
return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'text', content(entry[2]))
