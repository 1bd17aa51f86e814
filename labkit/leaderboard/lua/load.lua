-- Stores many scores without answering each: the way in for a whole table.
--
-- KEYS  1 board, 2 periods, 3 changes; then for each period its scores, members and levels
-- ARGV  1 layout, 2 settings, 3 secret, 4 now (ms), 5 policy, 6 lowest, 7 highest, 8 step,
--       9 events kept, 10 levels wanted, 11 moment (11 hex digits); for each period its name, the
--       moment it is forgotten and its time to live; then members and scores in turn.
-- Answers how many scores were taken, and then the members whose score was refused.
--!include _board
--!include _settle
--!include _write
local now, policy = tonumber(ARGV[4]), ARGV[5]
local lowest, highest, step = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local hex, moment = ARGV[11], tonumber(ARGV[11], 16)
local periods = (#KEYS - 3) / 3
local first = 12 + periods * 3
ensure(ARGV[2], ARGV[3], now, ARGV[10])
local count = (#ARGV - first + 1) / 2
local change = next_change(count) - count
local refused, names = {}, {}

for index = first, #ARGV, 2 do
  names[#names + 1] = ARGV[index]
end

local function update(period, member, given, stamp)
  local value = redis.call('HGET', period.members, member)
  local old_stamp, since, seen, metadata = parse(value)
  local old = redis.call('ZSCORE', period.scores, old_stamp .. member)
  local score = tonumber(old)
  local new, reached = settle(policy, score, since, seen, tonumber(given), moment)
  local difference = math.abs(new - score)
  if new < lowest or new > highest or (difference > 0 and difference < step) then
    refused[member] = true
    return
  end
  local latest = ''
  if policy == 'last' and math.max(seen, moment) > reached then
    latest = string.format('@%011x', math.max(seen, moment))
  end
  if new ~= score or reached ~= since then
    redis.call('ZREM', period.scores, old_stamp .. member)
    leave_level(period.scores, period.levels, old)
    old_stamp = string.format('%011x', reached) .. stamp:sub(12)
    redis.call('ZADD', period.scores, text(new), old_stamp .. member)
    enter_level(period.levels, text(new))
  end
  redis.call('HSET', period.members, member, old_stamp .. latest .. metadata)
end

local stamps = {}
for number = 1, count do
  stamps[number] = hex .. string.format('%07x', (change + number) % 268435456)
end

for number = 1, periods do
  local key, at = 1 + number * 3, 9 + number * 3
  local period = { scores = KEYS[key], members = KEYS[key + 1], levels = KEYS[key + 2] }
  local fresh = redis.call('EXISTS', period.scores) == 0
  local known = fresh and {} or redis.call('HMGET', period.members, unpack(names))
  local rows, values, levels, again, met = {}, {}, {}, {}, {}
  local size = 0
  for item = 1, count do
    local member = names[item]
    if known[item] or met[member] then
      again[#again + 1] = item
    else
      met[member] = true
      local score, stamp = ARGV[first + item * 2 - 1], stamps[item]
      rows[size + 1], rows[size + 2] = score, stamp .. member
      values[size + 1], values[size + 2] = member, stamp
      if has_levels then
        levels[size + 1], levels[size + 2] = score, text(tonumber(score))
      end
      size = size + 2
    end
  end
  if size > 0 then
    redis.call('ZADD', period.scores, unpack(rows))
    redis.call('HSET', period.members, unpack(values))
    if has_levels then
      redis.call('ZADD', period.levels, unpack(levels))
    end
    if fresh then
      register(period.scores, period.members, period.levels, ARGV[at], ARGV[at + 1], ARGV[at + 2],
        now)
    end
  end
  for _, item in ipairs(again) do
    update(period, names[item], ARGV[first + item * 2 - 1], stamps[item])
  end
end

announce(ARGV[9], change + count, { 'loaded', count, 'after', string.format('%.0f', change) })
local answer = { count }
for member in pairs(refused) do
  answer[#answer + 1] = member
end
return answer
