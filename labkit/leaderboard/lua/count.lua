-- Counts rows, and finds the score at a share of the board.
--
-- KEYS  1 board, 2 scores, 3 members; for dense ranks 4 levels
-- ARGV  1 layout, 2 what, then what it needs: "all"; "between" two bounds; "below" a member:
--       answers the total and the worse, or nil; "beside" a score and the ties: answers the rank
--       that it would get; "share" a percentage: answers a score or nil
--!include _board
--!include _member
--!include _rank
local scores, members, levels = KEYS[2], KEYS[3], KEYS[4]
local what = ARGV[2]
if what == 'all' then
  return redis.call('ZCARD', scores)
elseif what == 'between' then
  return redis.call('ZCOUNT', scores, ARGV[3], ARGV[4])
elseif what == 'below' then
  local value, _, score = locate(scores, members, ARGV[3])
  if not value then
    return false
  end
  return { redis.call('ZCARD', scores), redis.call('ZCOUNT', scores, '(' .. score, '+inf') }
elseif what == 'beside' then
  local score, ties = ARGV[3], ARGV[4]
  if ties == 'ordinal' or ties == 'modified' then
    return redis.call('ZCOUNT', scores, '-inf', score) + 1
  end
  return rank(scores, levels, ties, false, score)
end
local total = redis.call('ZCARD', scores)
local worse = math.max(1, math.ceil(tonumber(ARGV[3]) * total / 100))
return redis.call('ZRANGE', scores, total - worse, total - worse, 'WITHSCORES')[2] or false
