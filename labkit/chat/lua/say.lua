--!include _room
-- KEYS: 5 what was said under a key, 6 the member's rate; both may be unused.
-- ARGV: 8 session or "", 9 body, 10 remember in ms or "" for no key, 11 rate or "", 12 per in ms.
-- Answers the number and the epoch, or "slow" and the ms to wait.
if ARGV[10] ~= '' then
  local said = redis.call('GET', KEYS[5])
  if said then
    local before, number = string.match(said, '^(%S+) (%S+)$')
    if before == epoch then return {number, epoch} end
  end
end
if ARGV[11] ~= '' then
  -- The generic cell rate algorithm: one number says when the next message is due.
  local each = tonumber(ARGV[12]) / tonumber(ARGV[11])
  local due = math.max(tonumber(redis.call('GET', KEYS[6]) or now), now)
  local early = due + each - tonumber(ARGV[12]) - now
  if early > 0 then return {'slow', whole(math.ceil(early))} end
  redis.call('SET', KEYS[6], whole(due + each), 'PX', whole(math.ceil(due + each - now)))
end
sweep()
if ARGV[8] ~= '' then beat(ARGV[8]) end
local number = append(ARGV[9])
if ARGV[10] ~= '' then redis.call('SET', KEYS[5], epoch .. ' ' .. number, 'PX', ARGV[10]) end
return {number, epoch}
