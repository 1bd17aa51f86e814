-- Copies keys, each to a name that is free.
-- KEYS: the names and those of the copies, in turn. ARGV: 1 "do", or "look" to tell only which were
-- copied; 2 the database of the copies or "", 3 that of the client; for each key its token, or "" for
-- any. Answers what came of them, and the tokens of the copies.
--!include bulk_common
local database, home = ARGV[2], ARGV[3]
local came, marks = {}, {}

-- The parts of a set or a hash, of which a copy may have another order.
local function parts(key)
  local kind = redis.call('TYPE', key)
  kind = type(kind) == 'table' and kind.ok or kind
  local found, count = {}, 0
  if kind == 'set' then
    for _, member in ipairs(redis.call('SMEMBERS', key)) do
      found[member], count = true, count + 1
    end
  elseif kind == 'hash' then
    local pairs_of = redis.call('HGETALL', key)
    for at = 1, #pairs_of, 2 do
      found[pairs_of[at]], count = pairs_of[at + 1], count + 1
    end
  end
  return {kind, found, count}
end

local function alike(key, target)
  local one, other = parts(key), within(database, home, parts, target)
  if one[1] ~= other[1] or one[3] ~= other[3] or one[3] == 0 then return false end
  for name, value in pairs(one[2]) do
    if other[2][name] ~= value then return false end
  end
  return true
end

for at = 1, #KEYS / 2 do
  local key, target, wanted = KEYS[2 * at - 1], KEYS[2 * at], ARGV[at + 3]
  marks[at] = ''
  if within(database, home, exists, target) then
    local mark = wanted ~= '' and within(database, home, token, target)
    if mark and (mark == wanted or alike(key, target)) then
      came[at], marks[at] = CHANGED, mark
    else
      came[at] = TAKEN
    end
  elseif not exists(key) then
    came[at] = GONE
  elseif ARGV[1] == 'look' or (wanted ~= '' and token(key) ~= wanted) then
    came[at] = AGAIN
  else
    local copy = {'COPY', key, target}
    if database ~= '' then copy[4], copy[5] = 'DB', database end
    redis.call(unpack(copy))
    came[at] = CHANGED
    if wanted ~= '' then marks[at] = within(database, home, token, target) end
  end
end
return {came, marks}
