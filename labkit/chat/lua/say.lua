--!include _room
-- KEYS: those that are used of: what was said under a key, and the member's rate.
-- ARGV: 8 session or "", 9 remember in ms or "" for no key, 10 rate or "", 11 per in ms, 12 and on:
-- bodies, one for each message.
-- Answers "said" and the number of the first; "slow" and the ms to wait; or "other" and how many
-- messages the key stands for.
local many = #ARGV - 11
if ARGV[9] ~= '' then
  local said = redis.call('GET', KEYS[5])
  if said then
    local before, first, count = string.match(said, '^(%S+) (%S+) (%S+)$')
    if before == epoch then
      return tonumber(count) == many and {'said', first} or {'other', count}
    end
  end
end
if ARGV[10] ~= '' then
  -- The generic cell rate algorithm: one number says when the next message is due. Less than a
  -- millisecond too early is what arithmetic leaves.
  local rate, per = KEYS[#KEYS], tonumber(ARGV[11])
  local due = math.max(tonumber(redis.call('GET', rate) or now), now) + per * many / ARGV[10]
  local early = due - per - now
  if early >= 1 then return {'slow', whole(math.ceil(early))} end
  redis.call('SET', rate, string.format('%.3f', due), 'PX', whole(math.ceil(due - now)))
end
sweep()
if ARGV[8] ~= '' then beat(ARGV[8]) end
local first = append(ARGV, 11)
if ARGV[9] ~= '' then
  redis.call('SET', KEYS[5], epoch .. ' ' .. first .. ' ' .. many, 'PX', ARGV[9])
end
return {'said', first}
