-- Stores scores: policy, bounds, idempotency, every window, metadata and the event in one step.
--
-- KEYS  1 board, 2 periods, 3 changes, then for each period its scores, members and levels; where
--       an idempotency key comes along last once, once:due and once:by
-- ARGV  1 layout, 2 settings, NUL and secret of a board that has to be made, 3 the words now (ms),
--       policy, ties, lowest, highest, step, events kept, ms that a key is remembered, levels wanted
--       and windows of a score; for each period, up to an empty one, its name, the moment it is
--       forgotten (ms) and its time to live (ms, 0 for ever) with bars between; then for each score
--       its member, score, place, metadata, and digest of the payload with the idempotency key. A
--       place is the moment (11 hex digits) and for each window the number of the period it falls
--       into (4 digits), 0 where that has closed.
-- Answers a line for each score: what became of it, then for each window the outcome, the old score
-- and rank and the new ones, "-" where there is none; one that is replayed has the moment of the
-- score first.
--!include _board
--!include _member
--!include _value
--!include _rank
--!include _settle
--!include _write
local DIGEST = 32
local now, policy, ties, lowest, highest, step, events, remember, levels, width = ARGV[3]:match(
  '(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)')
now, remember, width = tonumber(now), tonumber(remember), tonumber(width)
lowest, highest, step = tonumber(lowest), tonumber(highest), tonumber(step)
local periods = {}
local at = 4
while ARGV[at] ~= '' do
  local key = at * 3 - 8
  periods[at - 3] = {
    scores = KEYS[key], members = KEYS[key + 1], levels = KEYS[key + 2], described = ARGV[at],
  }
  at = at + 1
end

local function forget_due()
  local due = redis.call('ZRANGEBYSCORE', once_due, '-inf', now, 'LIMIT', 0, 100)
  for _, owned in ipairs(due) do
    forget_key(owned)
  end
end

local function recall(key, digest)
  local answer = redis.call('HGET', once, key)
  if not answer or tonumber(answer:sub(1, 11), 16) <= now then
    return nil
  elseif answer:sub(12, 11 + DIGEST) ~= digest then
    return 'reused'
  end
  return 'replayed ' .. answer:sub(12 + DIGEST)
end

local function keep(member, key, digest, moment, answer)
  local owned, due = member .. '\0' .. key, now + remember
  redis.call('HSET', once, key, string.format('%011x', due) .. digest .. moment .. answer)
  redis.call('ZADD', once_due, due, owned)
  redis.call('ZADD', once_by, 0, owned)
  redis.call('PEXPIRE', once, remember)
  redis.call('PEXPIRE', once_due, remember)
  redis.call('PEXPIRE', once_by, remember)
end

-- Decides for every window before it writes to any: a refusal leaves no trace.
local function store(first)
  local member, metadata = ARGV[first], ARGV[first + 3]
  local given, place = tonumber(ARGV[first + 1]), ARGV[first + 2]
  local moment = tonumber(place:sub(1, 11), 16)
  local plans, taken, small, known = {}, false, false, ''
  for window = 1, width do
    local period = periods[tonumber(place:sub(8 + window * 4, 11 + window * 4))]
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
  if not layout then
    local cut = ARGV[2]:find('\0', 1, true)
    ensure(ARGV[2]:sub(1, cut - 1), ARGV[2]:sub(cut + 1), now, levels)
  end

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
        register(period.scores, period.members, period.levels, now,
          period.described:match('([^|]*)|([^|]*)|([^|]*)'))
      end
      line = table.concat({ plan.outcome, plan.old or '-', old_rank, new, new_rank }, ' ')
      if moved then
        fields[#fields + 1] = period.described:match('[^|]*')
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
for first = at + 1, #ARGV, 5 do
  local known, answer = ARGV[first + 4], nil
  local digest, key = known:sub(1, DIGEST), known:sub(DIGEST + 1)
  if known ~= '' then
    if not tidy then
      forget_due()
      tidy = true
    end
    answer = recall(key, digest)
  end
  if not answer then
    answer = store(first)
    if known ~= '' and answer:sub(1, 6) == 'stored' then
      keep(ARGV[first], key, digest, ARGV[first + 2]:sub(1, 11), answer:sub(7))
    end
  end
  answers[#answers + 1] = answer
end
return table.concat(answers, '\n')
