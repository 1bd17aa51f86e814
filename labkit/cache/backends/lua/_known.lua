-- KEYS: what stands, what is being built, the token of who builds it
-- ARGV: what to do, what shows that something stands, the token of who builds ('' for others), values
-- Answers 1, 0 where there is nothing to add to or somebody else builds, -1 where the shape is another.
local what, token = ARGV[1], ARGV[3]
local STANDING, NEW, BUILDER, HOUR = KEYS[1], KEYS[2], KEYS[3], 3600000

if what == 'begin' then
  redis.call('SET', BUILDER, token, 'PX', HOUR)
  redis.call('DEL', NEW)
  create(NEW)
  redis.call('PEXPIRE', NEW, HOUR)
  return 1
end
if what == 'add' then
  local standing, new = stands(STANDING), stands(NEW)
  if standing < 0 or new < 0 then return -1 end
  if standing > 0 then put(STANDING) end
  if new > 0 then put(NEW) end
  return standing
end
-- One that was evicted on the way would lack what was put into it before.
if redis.call('GET', BUILDER) ~= token or stands(NEW) ~= 1 then return 0 end
if what == 'build' then
  put(NEW)
  redis.call('PEXPIRE', NEW, HOUR)
  redis.call('PEXPIRE', BUILDER, HOUR)
else
  redis.call('RENAME', NEW, STANDING)
  redis.call('PERSIST', STANDING)
  redis.call('DEL', BUILDER)
end
return 1
