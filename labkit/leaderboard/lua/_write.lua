local kept = redis.call('HMGET', KEYS[1], 'levels', 'metadata', 'origin')
local has_levels, has_metadata, origin = kept[1], kept[2], tonumber(kept[3])

-- Makes the board on its first write. Its changes are numbered from 1,000 for each millisecond since
-- the epoch on, so that a board that is made again repeats none, unless the one before had more than
-- 1,000 changes for each millisecond that it lasted.
local function ensure(settings, new_secret, now, levels)
  if not layout then
    layout, origin = ARGV[1], math.floor(now) * 1000
    redis.call('HSET', KEYS[1], 'layout', layout, 'settings', settings, 'secret', new_secret,
      'origin', string.format('%.0f', origin), 'changes', string.format('%.0f', origin))
    if levels == '1' then
      redis.call('HSET', KEYS[1], 'levels', '1')
      has_levels = '1'
    end
  end
end

-- What a row begins with: the moment of its score, and the change's number on this board.
local function stamped(moment, change)
  return string.format('%011x%07x', moment, (change - origin) % 268435456)
end

local function next_change(count)
  return redis.call('HINCRBY', KEYS[1], 'changes', count)
end

-- An event of the stream has the number of its change as its id.
local function announce(events, change, fields)
  if events ~= '0' then
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', events, string.format('%.0f-0', change),
      unpack(fields))
  end
end

-- A period that has just got its first row joins the register, and lives as long as it may.
local function register(scores, members, levels, now, period, forget_at, ttl)
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  redis.call('ZADD', KEYS[2], forget_at, period)
  if ttl ~= '0' then
    redis.call('PEXPIRE', scores, ttl)
    redis.call('PEXPIRE', members, ttl)
    redis.call('PEXPIRE', levels, ttl)
  end
end

local function leave_level(scores, levels, score)
  if has_levels and redis.call('ZCOUNT', scores, score, score) == 0 then
    redis.call('ZREMRANGEBYSCORE', levels, score, score)
  end
end

-- Takes a row out; what is left of a period without rows goes as well.
local function leave(scores, members, levels, row, score)
  redis.call('ZREM', scores, row)
  redis.call('HDEL', members, row:sub(STAMP + 1))
  leave_level(scores, levels, score)
  if redis.call('EXISTS', scores) == 0 then
    redis.call('DEL', members)
  end
end

local function enter_level(levels, score)
  if has_levels then
    redis.call('ZADD', levels, score, text(tonumber(score)))
  end
end

-- Idempotency keys: the answers by key, when each is due, and each under its member. Where a call
-- has to do with them, these are its last keys.
local once, once_due, once_by = KEYS[#KEYS - 2], KEYS[#KEYS - 1], KEYS[#KEYS]

-- Forgets an idempotency key, named as its member, NUL and the key.
local function forget_key(owned)
  local key = owned:sub(owned:find('\0', 1, true) + 1)
  local kept_answer = redis.call('HGET', once, key)
  local due = redis.call('ZSCORE', once_due, owned)
  -- Once it is due, another member's score may come under the same key.
  if kept_answer and tonumber(kept_answer:sub(1, 11), 16) == tonumber(due) then
    redis.call('HDEL', once, key)
  end
  redis.call('ZREM', once_due, owned)
  redis.call('ZREM', once_by, owned)
end

-- Forgets the idempotency keys under which a member's scores came.
local function forget_keys(member)
  local owned_keys = redis.call(
    'ZRANGEBYLEX', once_by, '[' .. member .. '\0', '(' .. member .. '\1')
  for _, owned in ipairs(owned_keys) do
    forget_key(owned)
  end
end

-- Whether the register still holds just the names in ARGV from `first` on: the keys of this call
-- were made from them.
local function register_is(first, count)
  local names = redis.call('ZRANGE', KEYS[2], 0, -1)
  for number = 1, math.max(#names, count) do
    if names[number] ~= ARGV[first + number - 1] or number > count then
      return false
    end
  end
  return true
end
