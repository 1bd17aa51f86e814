-- Reads a stretch of rows: the top, a page, what lies around a member or a score.
--
-- KEYS  1 board, 2 scores, 3 members; for dense ranks and with a snapshot to be made 4 levels; with a
--       snapshot 5 its scores, 6 its levels, 7 periods
-- ARGV  1 layout, 2 ties, 3 how many, 4 where, then what `where` needs: "top"; "page" the first page;
--       "after" and "before" a score, a row and the rows that came before it; "member" a member; "score" a score; then for a
--       snapshot to be made its name, the moment it is forgotten (ms) and its time to live (ms)
-- Answers, with NUL between: the rows before the first, the rank from which the others follow, to
-- pages the total and the secret, the number of rows, the rows with their scores, and the members'
-- values where there may be metadata. (One long text is read faster than many short ones.)
--!include _board
--!include _member
--!include _rank
local scores, members, levels = KEYS[2], KEYS[3], KEYS[4]
local ties, limit, where = ARGV[2], tonumber(ARGV[3]), ARGV[4]

if KEYS[5] then
  local name, forget_at, ttl = ARGV[#ARGV - 2], ARGV[#ARGV - 1], ARGV[#ARGV]
  redis.call('ZUNIONSTORE', KEYS[5], 1, scores)
  redis.call('PEXPIRE', KEYS[5], ttl)
  redis.call('ZREMRANGEBYSCORE', KEYS[7], '-inf', forget_at - ttl)
  redis.call('ZADD', KEYS[7], forget_at, name)
  if redis.call('EXISTS', levels) == 1 then
    redis.call('ZUNIONSTORE', KEYS[6], 1, levels)
    redis.call('PEXPIRE', KEYS[6], ttl)
  end
  scores, levels = KEYS[5], KEYS[6]
end

-- Whether a row comes first among rows of equal score: byte by byte, as in the sorted set. Lua's `<`
-- on texts asks the locale.
local function precedes(row, other)
  local same = row:sub(1, STAMP) == other:sub(1, STAMP)
  for index = same and STAMP + 1 or 1, math.min(#row, #other) do
    local byte, its_byte = row:byte(index), other:byte(index)
    if byte ~= its_byte then
      return byte < its_byte
    end
  end
  return #row < #other
end

-- How many rows come before a row, which may have moved away, and whether it is still there. It is
-- looked for by halving, and first near where it was.
local function place(score, row, was)
  local kept = redis.call('ZSCORE', scores, row)
  if kept and tonumber(kept) == tonumber(score) then
    return redis.call('ZRANK', scores, row), true
  end
  local low = redis.call('ZCOUNT', scores, '-inf', '(' .. score)
  local high = low + redis.call('ZCOUNT', scores, score, score)
  local function halve(at)
    if precedes(redis.call('ZRANGE', scores, at, at)[1], row) then
      low = at + 1
    else
      high = at
    end
  end
  for distance = -8, 8, 16 do
    if low <= was + distance and was + distance < high then
      halve(was + distance)
    end
  end
  while low < high do
    halve(math.floor((low + high) / 2))
  end
  return low, false
end

local start, total, secret = 0, '', ''
if where ~= 'top' then
  total = redis.call('ZCARD', scores)
end
if where == 'page' or where == 'after' or where == 'before' then
  secret = redis.call('HGET', KEYS[1], 'secret') or ''
end
if where == 'after' then
  local before, there = place(ARGV[5], ARGV[6], tonumber(ARGV[7]))
  start = there and before + 1 or before
elseif where == 'before' then
  local stop = place(ARGV[5], ARGV[6], tonumber(ARGV[7]))
  start = math.max(0, stop - limit)
  limit = stop - start
elseif where == 'member' or where == 'score' then
  local centre
  if where == 'member' then
    local value, row = locate(scores, members, ARGV[5])
    if not value then
      return '0\0001\000\000\0000'
    end
    centre = redis.call('ZRANK', scores, row)
  else
    centre = redis.call('ZCOUNT', scores, '-inf', '(' .. ARGV[5])
  end
  start = math.max(0, math.min(centre - math.floor(limit / 2), total - limit))
end
-- With the row before the first one: where its score differs, the first one's rank is its position.
local lead = start > 0 and 1 or 0
local rows = limit > 0
  and redis.call('ZRANGE', scores, start - lead, start + limit - 1, 'WITHSCORES') or {}
local first, count = 1 + 2 * lead, math.max(0, #rows / 2 - lead)

local origin = start + 1
if count > 0 then
  if ties == 'modified' then
    origin = redis.call('ZCOUNT', scores, '-inf', rows[#rows])
  elseif lead == 1 and (ties == 'dense' or ties == 'competition' and rows[2] == rows[4]) then
    origin = rank(scores, levels, ties, rows[3], rows[4])
  end
end
local answer = { start, origin, total, secret, count }
if count > 0 then
  answer[6] = table.concat(rows, '\0', first)
  if redis.call('HEXISTS', KEYS[1], 'metadata') == 1 then
    local names = {}
    for index = first, #rows, 2 do
      names[#names + 1] = rows[index]:sub(STAMP + 1)
    end
    for index, value in ipairs(redis.call('HMGET', members, unpack(names))) do
      answer[6 + index] = value or ''
    end
  end
end
return table.concat(answer, '\0')
