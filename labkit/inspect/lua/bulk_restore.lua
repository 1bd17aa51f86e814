-- Puts back keys that were deleted, but for those that are there again, and those whose time is over.
-- ARGV: for each key its dump, token and expiry.
--!include bulk_common
local came = {}

for at, key in ipairs(KEYS) do
  local dump, mark, when = ARGV[3 * at - 2], ARGV[3 * at - 1], ARGV[3 * at]
  local left = tonumber(when)
  if exists(key) then
    came[at] = token(key) == mark and CHANGED or TAKEN
  elseif left >= 0 and left <= now then
    came[at] = GONE
  else
    redis.call('RESTORE', key, 0, dump)
    if left >= 0 then redis.call('PEXPIREAT', key, when) end
    came[at] = CHANGED
  end
end
return came
