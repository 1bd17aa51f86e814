-- The rank of a row, from 1. Cost: O(log N), except dense ranks on a board that keeps no index of
-- its distinct scores: those are counted one by one, from the best down to this one.
local function rank(scores, levels, ties, row, score)
  if ties == 'ordinal' then
    return redis.call('ZRANK', scores, row) + 1
  elseif ties == 'modified' then
    return redis.call('ZCOUNT', scores, '-inf', score)
  elseif ties == 'competition' then
    return redis.call('ZCOUNT', scores, '-inf', '(' .. score) + 1
  elseif redis.call('HEXISTS', KEYS[1], 'levels') == 1 then
    return redis.call('ZCOUNT', levels, '-inf', '(' .. score) + 1
  end
  local distinct, from = 1, '-inf'
  while true do
    local above = redis.call(
      'ZRANGEBYSCORE', scores, from, '(' .. score, 'WITHSCORES', 'LIMIT', 0, 1)
    if #above == 0 then
      return distinct
    end
    distinct, from = distinct + 1, '(' .. above[2]
  end
end
