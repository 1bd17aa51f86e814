-- Reads keys: dump, type and expiry of each are of one moment. Nothing is changed.
-- KEYS: those that the step before has left; none: SCAN goes on.
-- ARGV: 1 cursor, 2 pattern, 3 count, 4 after how many bytes of dumps a step leaves the rest.
-- Answers the cursor ('' without SCAN), the keys that are left, and columns: keys, names of types,
-- types as numbers, from 0, into these, expiries in ms since the epoch (0: never), dumps.
local cursor, named = '', KEYS
if #KEYS == 0 then
  local step = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
  cursor, named = step[1], step[2]
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Redis 6.2 has no PEXPIRETIME.
local asked = true
local function expiry(key)
  local at = asked and redis.pcall('PEXPIRETIME', key)
  if type(at) == 'number' then return math.max(at, 0) end
  asked = false
  local left = redis.call('PTTL', key)
  return left < 0 and 0 or now + left
end

local kinds, codes = {}, {}
local function kind_of(key)
  local kind = redis.call('TYPE', key)
  kind = type(kind) == 'table' and kind.ok or kind
  if not codes[kind] then
    kinds[#kinds + 1] = kind
    codes[kind] = #kinds - 1
  end
  return codes[kind]
end

local left, keys, types, expiries, dumps = {}, {}, {}, {}, {}
local found, size, most = 0, 0, tonumber(ARGV[4])
for _, key in ipairs(named) do
  if size >= most then
    left[#left + 1] = key
  else
    local dump = redis.call('DUMP', key)
    if dump then
      found = found + 1
      keys[found], types[found] = key, kind_of(key)
      expiries[found], dumps[found] = expiry(key), dump
      size = size + #dump
    end
  end
end
return {cursor, left, keys, kinds, types, expiries, dumps}
