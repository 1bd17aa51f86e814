-- Stores scores: policy, bounds, idempotency, every window, metadata and the event in one step.
--
-- KEYS  1 board, 2 periods, 3 changes, 4 once, 5 once:due, 6 once:by; then for each period its
--       scores, members and levels
-- ARGV  1 layout, 2 settings, 3 secret, 4 now (ms), 5 policy, 6 ties, 7 lowest, 8 highest, 9 step,
--       10 events kept, 11 ms that a key is remembered, 12 levels wanted, 13 number of periods,
--       14 windows of a score; for each period its name, the moment it is forgotten (ms) and its
--       time to live (ms, 0 for ever); then for each score its member, score, moment (11 hex
--       digits), metadata, idempotency key, digest of the payload, and for each window the number
--       of the period it falls into, 0 where that has closed.
-- Answers, for each score, a line: what became of it, then for each window the outcome, the old
-- score and rank and the new ones, "-" where there is none; one that is replayed has the moment of
-- the score first.
--!include _board
--!include _member
--!include _value
--!include _rank
--!include _settle
--!include _write
local now, policy, ties = tonumber(ARGV[4]), ARGV[5], ARGV[6]
local lowest, highest, step = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local events, remember, width = ARGV[10], tonumber(ARGV[11]), tonumber(ARGV[14])
local periods = {}
local at = 15
for number = 1, tonumber(ARGV[13]) do
  local key = 4 + number * 3
  periods[number] = {
    scores = KEYS[key], members = KEYS[key + 1], levels = KEYS[key + 2],
    name = ARGV[at], forget_at = ARGV[at + 1], ttl = ARGV[at + 2],
  }
  at = at + 3
end

local function forget_due()
  local due = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now, 'LIMIT', 0, 100)
  for _, owned in ipairs(due) do
    forget_key(owned)
  end
end

local function recall(key, digest)
  local kept = redis.call('HGET', KEYS[4], key)
  if not kept or tonumber(kept:sub(1, 11), 16) <= now then
    return nil
  elseif kept:sub(12, 11 + #digest) ~= digest then
    return 'reused'
  end
  return 'replayed ' .. kept:sub(12 + #digest)
end

local function keep(member, key, digest, moment, answer)
  local owned, due = member .. '\0' .. key, now + remember
  redis.call('HSET', KEYS[4], key, string.format('%011x', due) .. digest .. moment .. answer)
  redis.call('ZADD', KEYS[5], due, owned)
  redis.call('ZADD', KEYS[6], 0, owned)
  for number = 4, 6 do
    redis.call('PEXPIRE', KEYS[number], remember)
  end
end

-- Decides for every window before it writes to any: a refusal leaves no trace.
local function store(first)
  local member, metadata = ARGV[first], ARGV[first + 3]
  local given, moment = tonumber(ARGV[first + 1]), tonumber(ARGV[first + 2], 16)
  local plans, taken, small, known = {}, false, false, ''
  for window = 1, width do
    local period = periods[tonumber(ARGV[first + 5 + window])]
    local plan = { period = period, outcome = 'closed' }
    plans[window] = plan
    if period then
      local value, row, score = locate(period.scores, period.members, member)
      if value then
        plan.stamp, plan.since, plan.seen, plan.metadata = parse(value)
        plan.row, plan.old, plan.score = row, score, tonumber(score)
        if known == '' then
          known = plan.metadata
        end
      end
      plan.new, plan.moment = settle(policy, plan.score, plan.since, plan.seen, given, moment)
      plan.latest = moment
      local difference = plan.score and math.abs(plan.new - plan.score)
      if plan.new < lowest or plan.new > highest then
        return 'bounds ' .. text(plan.new)
      elseif difference and difference > 0 and difference < step then
        plan.outcome, plan.new, plan.moment, small = 'small', plan.score, plan.since, true
        plan.latest = plan.seen
      else
        plan.outcome, taken = 'kept', true
      end
    end
  end
  if not taken then
    return small and 'small' or 'closed'
  end
  ensure(ARGV[2], ARGV[3], now, ARGV[12])

  local change
  local fields = { 'member', member, 'at', string.format('%.0f', moment) }
  local answer = {}
  for window = 1, width do
    local plan = plans[window]
    local period = plan.period
    local line = plan.outcome .. ' - - - -'
    if period then
      local old_rank, new, new_rank = '-', plan.old, nil
      if plan.old then
        new_rank = rank(period.scores, period.levels, ties, plan.row, plan.old)
        old_rank = new_rank
      end
      local moved = plan.new ~= plan.score or plan.moment ~= plan.since
      local stamp, arrives = plan.stamp, not plan.old
      if moved then
        change = change or next_change(1)
        stamp = stamped(plan.moment, change)
        new = policy == 'sum' and text(plan.new) or ARGV[first + 1]
        -- The old row goes last: a key that is empty in between loses its time to live.
        redis.call('ZADD', period.scores, new, stamp .. member)
        enter_level(period.levels, new)
        if plan.old then
          redis.call('ZREM', period.scores, plan.row)
          leave_level(period.scores, period.levels, plan.old)
        end
        new_rank = rank(period.scores, period.levels, ties, stamp .. member, new)
        plan.outcome = plan.old and 'changed' or 'new'
      end
      local note = metadata
      if note == '' then
        note = plan.metadata or known
      end
      local latest = policy == 'last' and math.max(plan.seen or 0, plan.latest)
        or policy == 'sum' and plan.seen or 0
      if moved or latest > plan.moment or note ~= plan.metadata then
        redis.call('HSET', period.members, member, unparse(stamp, plan.moment, latest, note))
      end
      if arrives and redis.call('ZCARD', period.scores) == 1 then
        register(period.scores, period.members, period.levels, period.name, period.forget_at,
          period.ttl, now)
      end
      line = table.concat({ plan.outcome, plan.old or '-', old_rank, new, new_rank }, ' ')
      if moved then
        fields[#fields + 1] = period.name
        fields[#fields + 1] = line
      end
    end
    answer[window] = ' ' .. line
  end
  if metadata ~= '' and not has_metadata then
    redis.call('HSET', KEYS[1], 'metadata', '1')
    has_metadata = '1'
  end
  if change then
    announce(events, change, fields)
  end
  return 'stored' .. table.concat(answer)
end

local answers, tidy = {}, false
for first = at, #ARGV, 6 + width do
  local key, answer = ARGV[first + 4], nil
  if key ~= '' then
    if not tidy then
      forget_due()
      tidy = true
    end
    answer = recall(key, ARGV[first + 5])
  end
  if not answer then
    answer = store(first)
    if key ~= '' and answer:sub(1, 6) == 'stored' then
      keep(ARGV[first], key, ARGV[first + 5], ARGV[first + 2], answer:sub(7))
    end
  end
  answers[#answers + 1] = answer
end
return answers
