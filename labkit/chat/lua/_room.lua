-- What the scripts of a room share.
-- KEYS: 1 state (hash: epoch, last), 2 stream, 3 sessions (sorted set by expiry), 4 people (hash of
-- sessions).
-- ARGV: 1 now in ms or "", 2 an epoch for a new room, 3 channel, 4 PUBLISH or SPUBLISH, 5 history,
-- 6 age in ms or "", 7 presence in ms.
local now = tonumber(ARGV[1])
if not now then
  local moment = redis.call('TIME')
  now = moment[1] * 1000 + math.floor(moment[2] / 1000)
end
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then
  -- A new room, or one whose state was evicted: numbers begin anew, and what is there is not theirs.
  redis.call('DEL', KEYS[2])
  epoch = ARGV[2]
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'last', 0)
end

local function whole(number)
  return string.format('%.0f', number)
end

local at = whole(now)

-- The oldest go, a few at a time, so that no call pays for all at once.
local function trim_by_age(most)
  local oldest = now - tonumber(ARGV[6])
  local head = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  if tonumber(head[2][2]) >= oldest then return end
  local first = nil
  for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', most)) do
    if tonumber(entry[2][2]) >= oldest then break end
    first = entry[1]
  end
  if first then
    local number = tonumber(string.match(first, '^(%d+)')) + 1
    redis.call('XTRIM', KEYS[2], 'MINID', whole(number) .. '-0')
  end
end

-- Appends and publishes all bodies of a table but the first few; answers the number of the first.
local function append(bodies, skipped)
  local count = #bodies - skipped
  local before = redis.call('HINCRBY', KEYS[1], 'last', count) - count
  for place = 1, count do
    local number, body = whole(before + place), bodies[skipped + place]
    -- The last one trims for all, which costs a third less.
    local kept = place == count and ARGV[5] or ARGV[5] + count
    redis.call('XADD', KEYS[2], 'MAXLEN', kept, number .. '-0', 'at', at, 'body', body)
    redis.call(ARGV[4], ARGV[3], epoch .. ' ' .. number .. ' ' .. at .. ' ' .. body)
  end
  if ARGV[6] ~= '' then trim_by_age(100 + count) end
  return before + 1
end

-- A session is "<tab> <person as JSON>".
local function depart(session)
  if redis.call('ZREM', KEYS[3], session) == 0 then return 0 end
  local person = string.sub(session, string.find(session, ' ', 1, true) + 1)
  if redis.call('HINCRBY', KEYS[4], person, -1) <= 0 then
    redis.call('HDEL', KEYS[4], person)
    append({'{"kind":"left","member":' .. person .. '}'}, 0)
  end
  return 1
end

local function sweep()
  for _, session in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', at, 'LIMIT', 0, 100)) do
    depart(session)
  end
end

local function beat(session)
  local until_then = whole(now + tonumber(ARGV[7]))
  if redis.call('ZADD', KEYS[3], until_then, session) == 1 then
    local person = string.sub(session, string.find(session, ' ', 1, true) + 1)
    if redis.call('HINCRBY', KEYS[4], person, 1) == 1 then
      append({'{"kind":"joined","member":' .. person .. '}'}, 0)
    end
  end
end
