-- Reads one member: its value (stamp and metadata), score and rank with NUL between, or nil.
--
-- KEYS  1 board, 2 scores, 3 members; for dense ranks 4 levels
-- ARGV  1 layout, 2 ties, 3 member
--!include _board
--!include _member
--!include _rank
local value, row, score = locate(KEYS[2], KEYS[3], ARGV[3])
if not value then
  return false
end
return value .. '\0' .. score .. '\0' .. rank(KEYS[2], KEYS[4], ARGV[2], row, score)
