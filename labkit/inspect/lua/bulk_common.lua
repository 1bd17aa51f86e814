-- What came of a key, as in labkit/inspect/bulk/outcome.py; how a value is known again, and when a key expires.
local AGAIN, CHANGED, GONE, TAKEN, OTHER = 0, 1, 2, 3, 4
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function exists(key)
  return redis.call('EXISTS', key) == 1
end

-- The digest of a key's value, and its dump; false where there is no key. fakeredis has no sha1hex.
local function token(key)
  local dump = redis.call('DUMP', key)
  return dump and (redis.sha1hex and redis.sha1hex(dump) or dump), dump
end

-- In ms since the epoch; -1: never, -2: there is no key. Redis 6.2 has no PEXPIRETIME.
local function expiry(key)
  local at = redis.pcall('PEXPIRETIME', key)
  if type(at) == 'number' then return at end
  local left = redis.call('PTTL', key)
  return left < 0 and left or now + left
end

-- A sum of TIME and PTTL may be off by a millisecond or two.
local function near(at, other)
  return at == other or (at >= 0 and other >= 0 and math.abs(at - other) <= 2)
end

-- What a function says of keys of another database; '' is the one the client is in, its `home`.
local function within(database, home, ask, ...)
  if database == '' then return ask(...) end
  redis.call('SELECT', database)
  local answer = ask(...)
  redis.call('SELECT', home)
  return answer
end
