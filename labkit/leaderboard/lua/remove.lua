-- Removes members from the periods given, with their metadata, stamps and idempotency keys.
--
-- KEYS  1 board, 2 periods, 3 changes, then for each period its scores, members and levels; last
--       once, once:due and once:by
-- ARGV  1 layout, 2 ties, 3 events kept, 4 now (ms), 5 number of registered names, the names as the
--       caller saw them, the names of the periods given, then the members
-- Answers how many members were there, or nil where the register has changed meanwhile.
--!include _board
--!include _member
--!include _rank
--!include _write
local seen = tonumber(ARGV[5])
if not register_is(6, seen) then
  return false
end
local periods = (#KEYS - 6) / 3
local first_name = 5 + seen
local removed = 0
for index = first_name + periods + 1, #ARGV do
  local member = ARGV[index]
  local fields = { 'member', member, 'at', ARGV[4] }
  for number = 1, periods do
    local key = 1 + number * 3
    local scores, members, levels = KEYS[key], KEYS[key + 1], KEYS[key + 2]
    local value, row, score = locate(scores, members, member)
    if value then
      local old_rank = rank(scores, levels, ARGV[2], row, score)
      leave(scores, members, levels, row, score)
      fields[#fields + 1] = ARGV[first_name + number]
      fields[#fields + 1] = table.concat({ 'removed', score, old_rank, '-', '-' }, ' ')
    end
  end
  forget_keys(member)
  if #fields > 4 then
    removed = removed + 1
    announce(ARGV[3], next_change(1), fields)
  end
end
return removed
