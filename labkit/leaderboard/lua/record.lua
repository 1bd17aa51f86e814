-- Reads one member in several periods: for each its value, score and rank, or nils.
--
-- KEYS  1 board; then for each period its scores, members and levels
-- ARGV  1 layout, 2 ties, 3 member
--!include _board
--!include _member
--!include _rank
local found = {}
for key = 2, #KEYS, 3 do
  local value, row, score = locate(KEYS[key], KEYS[key + 1], ARGV[3])
  found[#found + 1] = value
    and { value, score, rank(KEYS[key], KEYS[key + 2], ARGV[2], row, score) }
    or { false, false, false }
end
return found
