-- Drops writes that were put aside; answers how many.
-- KEYS: aside, last. ARGV: their ids
local gone = 0
for _, id in ipairs(ARGV) do
  local write = redis.call('XRANGE', KEYS[1], id, id)[1]
  if write then
    local key = write[2][6]
    if redis.call('HGET', KEYS[2], key) == id then redis.call('HDEL', KEYS[2], key) end
    gone = gone + redis.call('XDEL', KEYS[1], id)
  end
end
return gone
