-- The whole value of a key, by its type; nothing is changed.
-- Answers the type and the value; of a hash also the expiries of its fields, in ms since the epoch,
-- where the server has such. What is of another type has its dump for a value.
local PART = 1000
local key = KEYS[1]
local kind = redis.call('TYPE', key)
kind = type(kind) == 'table' and kind.ok or kind

local function hash()
  local rows = redis.call('HGETALL', key)
  local expiries = {}
  for start = 1, #rows, 2 * PART do
    local fields = {}
    for at = start, math.min(start + 2 * PART, #rows + 1) - 1, 2 do
      fields[#fields + 1] = rows[at]
    end
    local told = redis.pcall('HPEXPIRETIME', key, 'FIELDS', #fields, unpack(fields))
    if told.err then return {kind, rows, {}} end
    for at, when in ipairs(told) do
      if when > 0 then
        expiries[#expiries + 1] = fields[at]
        expiries[#expiries + 1] = when
      end
    end
  end
  return {kind, rows, expiries}
end

local function stream()
  local told = redis.pcall('XINFO', 'STREAM', key, 'FULL', 'COUNT', '0')
  if not told.err then return {kind, told} end
  -- fakeredis does not tell what is pending there, nor when it was delivered.
  told = redis.call('XINFO', 'STREAM', key, 'FULL')
  for at = 1, #told, 2 do
    for _, group in ipairs(told[at] == 'groups' and told[at + 1] or {}) do
      local pending = redis.call('XPENDING', key, group[2], '-', '+', '1000000000')
      for _, row in ipairs(pending) do row[3] = 0 end
      group[#group + 1], group[#group + 2] = 'pending', pending
      group[#group + 1], group[#group + 2] = 'consumers', redis.call('XINFO', 'CONSUMERS', key, group[2])
    end
  end
  return {kind, told}
end

if kind == 'string' then return {kind, redis.call('GET', key)} end
if kind == 'list' then return {kind, redis.call('LRANGE', key, 0, -1)} end
if kind == 'set' then return {kind, redis.call('SMEMBERS', key)} end
if kind == 'zset' then return {kind, redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')} end
if kind == 'hash' then return hash() end
if kind == 'stream' then return stream() end
return {kind, redis.call('DUMP', key)}
