-- Takes comments of an article that was deleted out of the views.
-- ARGV  1 the article, 2 how many at most, 3 for how long late states of it are ignored (ms)
-- Answers how many are left.
--!include _views
--!include _put
redis.call('SET', root .. 'gone:' .. ARGV[1], 1, 'PX', ARGV[3])
local left = 0
for number = 1, 2 do
  local at = start(KEYS[number])
  if at then
    local places = at .. 'time:' .. ARGV[1]
    for _, place in ipairs(redis.call('ZRANGE', places, 0, ARGV[2] - 1)) do
      local key = at .. 'comment:' .. place:sub(-19):gsub('^0+', '')
      leave(at, stored(key))
      redis.call('DEL', key)
    end
    left = left + redis.call('ZCARD', places)
  end
end
return left
