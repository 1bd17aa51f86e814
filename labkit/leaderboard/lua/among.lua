-- Reads some members: for each its value (stamp and metadata), score and rank, or three empty ones,
-- with NUL between. (One long text is read faster than many short ones.)
--
-- KEYS  1 board, 2 scores, 3 members; for dense ranks 4 levels
-- ARGV  1 layout, 2 ties, then the members
--!include _board
--!include _rank
local values = redis.call('HMGET', KEYS[3], '', unpack(ARGV, 3))
local found = {}
for number = 1, #values - 1 do
  local value, at = values[number + 1] or values[1], number * 3
  local row = value and value:sub(1, STAMP) .. ARGV[number + 2]
  local score = row and redis.call('ZSCORE', KEYS[2], row)
  found[at - 2], found[at - 1], found[at] = '', '', ''
  if score then
    found[at - 2], found[at - 1] = value, score
    found[at] = rank(KEYS[2], KEYS[4], ARGV[2], row, score)
  end
end
return table.concat(found, '\0')
