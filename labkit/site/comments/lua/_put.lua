-- Puts the state of a comment into the views of a generation, by the difference to what is there.

local PLACES = { 'version', 'article', 'parent', 'reader', 'score', 'place', 'rank' }

local function stored(key)
  local found, old = redis.call('HMGET', key, unpack(PLACES)), {}
  for number, name in ipairs(PLACES) do
    old[name] = found[number]
  end
  return old
end

-- The negative of a whole number, as text: Lua's own numbers end at 2^53.
local function minus(number)
  if number == '0' then
    return '0'
  end
  return number:sub(1, 1) == '-' and number:sub(2) or '-' .. number
end

local function enter(at, c)
  redis.call('ZADD', at .. 'time:' .. c.article, 0, c.place)
  redis.call('ZADD', at .. 'best:' .. c.article, 0, c.rank)
  redis.call('ZADD', at .. 'by:' .. c.reader, 0, c.place)
  if c.parent ~= '' then
    redis.call('ZADD', at .. 'replies:' .. c.parent, 0, c.place)
  end
  redis.call('HINCRBY', at .. 'counts', c.article, 1)
  redis.call('HINCRBY', at .. 'totals:' .. c.reader, 'comments', 1)
  redis.call('HINCRBY', at .. 'totals:' .. c.reader, 'score', c.score)
end

local function leave(at, c)
  redis.call('ZREM', at .. 'time:' .. c.article, c.place)
  redis.call('ZREM', at .. 'best:' .. c.article, c.rank)
  redis.call('ZREM', at .. 'by:' .. c.reader, c.place)
  if c.parent ~= '' then
    redis.call('ZREM', at .. 'replies:' .. c.parent, c.place)
  end
  if redis.call('HINCRBY', at .. 'counts', c.article, -1) <= 0 then
    redis.call('HDEL', at .. 'counts', c.article)
  end
  local totals = at .. 'totals:' .. c.reader
  if redis.call('HINCRBY', totals, 'comments', -1) <= 0 then
    redis.call('DEL', totals)
  else
    redis.call('HINCRBY', totals, 'score', minus(c.score))
  end
end

local function move(at, old, new)
  if old.rank ~= new.rank then
    redis.call('ZREM', at .. 'best:' .. old.article, old.rank)
    redis.call('ZADD', at .. 'best:' .. new.article, 0, new.rank)
    redis.call('HINCRBY', at .. 'totals:' .. old.reader, 'score', minus(old.score))
    redis.call('HINCRBY', at .. 'totals:' .. new.reader, 'score', new.score)
  end
end

-- Answers 1, or 0 where the same or a newer state is there. `ms`: for how long it is remembered that
-- readers do not see a comment any more.
local function put(at, new, ms)
  local key = at .. 'comment:' .. new.id
  local old = stored(key)
  if old.version and tonumber(old.version) >= tonumber(new.version) then
    return 0
  end
  if new.place == '' then
    if old.place then
      leave(at, old)
    end
    redis.call('DEL', key)
    redis.call('HSET', key, 'version', new.version)
    redis.call('PEXPIRE', key, ms)
    return 1
  end
  if old.place == new.place then
    move(at, old, new)
  else
    enter(at, new)
    redis.call('PERSIST', key)
  end
  redis.call('HSET', key, 'version', new.version, 'article', new.article, 'parent', new.parent,
    'reader', new.reader, 'body', new.body, 'posted_at', new.posted_at, 'score', new.score,
    'place', new.place, 'rank', new.rank)
  return 1
end

-- The states from ARGV[first] on, without those of articles that were deleted.
local NAMES = { 'id', 'version', 'article', 'parent', 'reader', 'body', 'posted_at', 'score',
  'place', 'rank' }

local function states(first)
  local found = {}
  for at = first, #ARGV, #NAMES do
    local state = {}
    for number, name in ipairs(NAMES) do
      state[name] = ARGV[at + number - 1]
    end
    if redis.call('EXISTS', root .. 'gone:' .. state.article) == 0 then
      found[#found + 1] = state
    end
  end
  return found
end
