-- Takes a text that was delivered too often off the work, and keeps it among the dead.
local function bury(group, id, deliveries, longest)
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  if entry then
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', longest, '*', 'text', content(entry[2]),
      'deliveries', deliveries, 'origin', id,
      'reason', 'delivered ' .. deliveries .. ' times and never done')
  end
  redis.call('XACK', KEYS[1], group, id)
  redis.call('XDEL', KEYS[1], id)
end
