-- Writes keys of a backup, and notes in the same step how far the restore has come.
-- KEYS: the hash with the notes, then the keys. ARGV: 1 what to do with a key that is there: "refuse",
-- "skip" or "replace"; 2 the next block; for each key its expiry in ms (0: never) and its dump.
-- Answers the keys that are refused; then nothing was written. Sent again, as after a lost reply, it
-- writes nothing either.
local notes, how = KEYS[1], ARGV[1]
if redis.call('HGET', notes, 'next') == ARGV[2] then return {} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local taken, there = {}, {}
for at = 2, #KEYS do
  there[at] = redis.call('EXISTS', KEYS[at]) == 1
  if there[at] then taken[#taken + 1] = KEYS[at] end
end
if how == 'refuse' and #taken > 0 then return taken end

local came = {restored = 0, replaced = 0, skipped = 0, expired = 0}
for at = 2, #KEYS do
  local when, dump = ARGV[2 * at - 1], ARGV[2 * at]
  local what
  if when ~= '0' and tonumber(when) <= now then
    what = 'expired'
  elseif there[at] and how == 'skip' then
    what = 'skipped'
  else
    redis.call('RESTORE', KEYS[at], 0, dump, 'REPLACE')
    -- Not RESTORE with ABSTTL, which fakeredis has not.
    if when ~= '0' then redis.call('PEXPIREAT', KEYS[at], when) end
    what = there[at] and 'replaced' or 'restored'
  end
  came[what] = came[what] + 1
end
redis.call('HSET', notes, 'next', ARGV[2])
for what, count in pairs(came) do redis.call('HINCRBY', notes, what, count) end
return {}
