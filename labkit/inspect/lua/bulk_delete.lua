-- Deletes keys that are what they were. A key that is not there any more is one that was deleted.
-- ARGV: 1 "do", or "look" to tell only which were; for each key its token, or "" for any, and its
-- expiry.
--!include bulk_common
local looking = ARGV[1] == 'look'
local came = {}

for at, key in ipairs(KEYS) do
  local wanted, when = ARGV[2 * at], tonumber(ARGV[2 * at + 1])
  if not exists(key) then
    came[at] = CHANGED
  elseif wanted ~= '' and not (token(key) == wanted and near(expiry(key), when)) then
    came[at] = looking and OTHER or AGAIN
  elseif looking then
    came[at] = AGAIN
  else
    redis.call('UNLINK', key)
    came[at] = CHANGED
  end
end
return came
