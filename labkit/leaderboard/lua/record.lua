-- Reads one member in several periods: for each its value, score, rank and the total, or nils.
--
-- KEYS  1 board; then for each period its scores, members and levels
-- ARGV  1 layout, 2 ties, 3 member
--!include _board
--!include _rank
local found = {}
for key = 2, #KEYS, 3 do
  local value = redis.call('HGET', KEYS[key + 1], ARGV[3])
  local line = { false, false, false, redis.call('ZCARD', KEYS[key]) }
  if value then
    local row = value:sub(1, STAMP) .. ARGV[3]
    local score = redis.call('ZSCORE', KEYS[key], row)
    line[1], line[2] = value, score
    line[3] = rank(KEYS[key], KEYS[key + 2], ARGV[2], row, score)
  end
  found[#found + 1] = line
end
return found
