-- Stores many scores without answering each: the way in for a whole table.
--
-- KEYS  1 board, 2 periods, 3 changes; then for each period its scores, members and levels
-- ARGV  1 layout, 2 settings, 3 secret, 4 now (ms), 5 policy, 6 lowest, 7 highest, 8 step,
--       9 events kept, 10 levels wanted, 11 moment (11 hex digits), 12 whether rows keep their order
--       in ties ("1"); for each period its name, the moment it is forgotten and its time to live;
--       then members and scores in turn.
-- Answers how many scores were taken, and then the members whose score was refused.
--!include _board
--!include _member
--!include _value
--!include _settle
--!include _write
local now, policy = tonumber(ARGV[4]), ARGV[5]
local lowest, highest, step = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local hex, moment = ARGV[11], tonumber(ARGV[11], 16)
local periods = (#KEYS - 3) / 3
local first = 13 + periods * 3
ensure(ARGV[2], ARGV[3], now, ARGV[10])
local count = (#ARGV - first + 1) / 2
local change = next_change(count) - count

-- ZADD itself applies these policies to rows that share a stamp; a sum, a step and an index of
-- distinct scores need to see each score that was there.
local flag = ({ best = 'LT', first = 'NX', last = 'CH' })[policy]
local may_share = ARGV[12] ~= '1' and flag and step == 0 and not has_levels

local names, refused = {}, {}
for index = first, #ARGV, 2 do
  names[#names + 1] = ARGV[index]
end

local function stamp_of(item)
  return stamped(moment, change + item)
end

local function outside(score)
  return score < lowest or score > highest
end

local function update(period, item)
  local member, given = names[item], tonumber(ARGV[first + item * 2 - 1])
  local value, row, old = locate(period.scores, period.members, member)
  local stamp, since, seen, metadata = parse(value)
  local score = tonumber(old)
  local new, reached = settle(policy, score, since, seen, given, moment)
  local difference = math.abs(new - score)
  if outside(new) or (difference > 0 and difference < step) then
    refused[member] = true
    return
  end
  if new ~= score or reached ~= since then
    stamp = stamped(reached, change + item)
    redis.call('ZADD', period.scores, text(new), stamp .. member)
    enter_level(period.levels, text(new))
    redis.call('ZREM', period.scores, row)
    leave_level(period.scores, period.levels, old)
  end
  local latest = policy == 'last' and math.max(seen, moment) or 0
  redis.call('HSET', period.members, member, unparse(stamp, reached, latest, metadata))
end

-- Adds rows under one stamp, with nothing but the sorted set to write.
local function add_together(period, shared, items)
  local rows = { flag }
  for _, item in ipairs(items) do
    rows[#rows + 1] = ARGV[first + item * 2 - 1]
    rows[#rows + 1] = shared .. names[item]
  end
  redis.call('ZADD', period.scores, unpack(rows))
end

local function add_each(period, items)
  local rows, values, levels = {}, {}, {}
  for _, item in ipairs(items) do
    local score, stamp, at = ARGV[first + item * 2 - 1], stamp_of(item), #rows
    rows[at + 1], rows[at + 2] = score, stamp .. names[item]
    values[at + 1], values[at + 2] = names[item], stamp
    if has_levels then
      levels[at + 1], levels[at + 2] = score, text(tonumber(score))
    end
  end
  redis.call('ZADD', period.scores, unpack(rows))
  redis.call('HSET', period.members, unpack(values))
  if has_levels then
    redis.call('ZADD', period.levels, unpack(levels))
  end
end

for number = 1, periods do
  local key, at = 1 + number * 3, 10 + number * 3
  local period = { scores = KEYS[key], members = KEYS[key + 1], levels = KEYS[key + 2] }
  local empty = redis.call('EXISTS', period.scores) == 0
  if empty and may_share then
    redis.call('HSET', period.members, '', stamp_of(0))
  end
  local shared = redis.call('HGET', period.members, '')
  local together = may_share and shared and shared:sub(1, 11) == hex
  local known = {}
  if redis.call('HLEN', period.members) > (shared and 1 or 0) then
    known = redis.call('HMGET', period.members, unpack(names))
  end
  local new, again, met = {}, {}, {}
  for item = 1, count do
    local member = names[item]
    local there = known[item]
    if not together then
      there = there or met[member]
        or (shared and redis.call('ZSCORE', period.scores, shared .. member))
    end
    if there then
      again[#again + 1] = item
    elseif policy == 'sum' and outside(tonumber(ARGV[first + item * 2 - 1])) then
      refused[member] = true
    else
      met[member] = not together or nil
      new[#new + 1] = item
    end
  end
  if #new > 0 then
    if together then
      add_together(period, shared, new)
    else
      add_each(period, new)
    end
    if empty then
      register(period.scores, period.members, period.levels, now, ARGV[at], ARGV[at + 1],
        ARGV[at + 2])
    end
  end
  for _, item in ipairs(again) do
    update(period, item)
  end
end

announce(ARGV[9], change + count, { 'loaded', count, 'after', string.format('%.0f', change) })
local answer = { count }
for member in pairs(refused) do
  answer[#answer + 1] = member
end
return answer
