-- Renames keys, each to a name that is free.
-- KEYS: the names and the new names, in turn. ARGV: 1 "do", "back" to rename whatever the value is
-- now, or "look" to tell only which were renamed; for each key its token, or "" for any.
--!include bulk_common
local came = {}

for at = 1, #KEYS / 2 do
  local key, target, wanted = KEYS[2 * at - 1], KEYS[2 * at], ARGV[at + 1]
  if not exists(key) then
    came[at] = wanted ~= '' and token(target) == wanted and CHANGED or GONE
  elseif exists(target) then
    came[at] = TAKEN
  elseif ARGV[1] == 'look' or (ARGV[1] == 'do' and wanted ~= '' and token(key) ~= wanted) then
    came[at] = AGAIN
  else
    redis.call('RENAMENX', key, target)
    came[at] = CHANGED
  end
end
return came
