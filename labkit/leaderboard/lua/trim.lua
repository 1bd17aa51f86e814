-- Cuts the periods given to their first rows, a thousand rows at most in one call; what leaves the
-- last of them loses its idempotency keys as well.
--
-- KEYS  1 board, 2 periods, 3 changes, then for each period its scores, members and levels; last
--       once, once:due and once:by
-- ARGV  1 layout, 2 rows to keep, 3 events kept, 4 now (ms), then the periods' names
-- Answers how many rows it removed.
--!include _board
--!include _member
--!include _write
local keep, room, removed = tonumber(ARGV[2]), 1000, 0
for key = 4, #KEYS - 3, 3 do
  local scores, members, levels = KEYS[key], KEYS[key + 1], KEYS[key + 2]
  local count = math.min(room, redis.call('ZCARD', scores) - keep)
  local rows = count > 0 and redis.call('ZRANGE', scores, -count, -1, 'WITHSCORES') or {}
  for index = 1, #rows, 2 do
    local member = rows[index]:sub(STAMP + 1)
    leave(scores, members, levels, rows[index], rows[index + 1])
    local elsewhere = false
    for other = 4, #KEYS - 3, 3 do
      elsewhere = elsewhere or locate(KEYS[other], KEYS[other + 1], member)
    end
    if not elsewhere then
      forget_keys(member)
    end
  end
  if count > 0 then
    removed, room = removed + count, room - count
    announce(ARGV[3], next_change(1),
      { 'trimmed', count, 'period', ARGV[4 + (key - 1) / 3], 'at', ARGV[4] })
  end
end
return removed
