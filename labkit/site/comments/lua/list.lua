-- The comments of a sorted set, in the order of its members.
-- ARGV  1 the set, 2 ZRANGEBYLEX or ZREVRANGEBYLEX, 3 and 4 from where and how far, 5 how many
-- Answers nil where no view was built.
--!include _views
local at = start(KEYS[1])
if not at then
  return false
end
local found = {}
for _, member in ipairs(redis.call(ARGV[2], at .. ARGV[1], ARGV[3], ARGV[4], 'LIMIT', 0, ARGV[5])) do
  local id = member:sub(-19):gsub('^0+', '')
  local fields = redis.call('HMGET', at .. 'comment:' .. id, 'article', 'reader', 'body',
    'posted_at', 'parent', 'score', 'version')
  if fields[1] then
    table.insert(fields, 1, id)
    found[#found + 1] = fields
  end
end
return found
