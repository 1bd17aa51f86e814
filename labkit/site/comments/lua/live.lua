-- What changes on a page that stands: the count of article ARGV[1], and the scores of the comments
-- that follow; nil for what is not seen. Answers nil where no view was built.
--!include _views
local at = start(KEYS[1])
if not at then
  return false
end
local found = { redis.call('HGET', at .. 'counts', ARGV[1]) }
for number = 2, #ARGV do
  found[number] = redis.call('HGET', at .. 'comment:' .. ARGV[number], 'score')
end
return found
