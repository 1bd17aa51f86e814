--!include _content
--!include _bury
-- KEYS: work, dead. ARGV: 1 group, 2 consumer, 3 most, 4 claim after (ms), 5 attempts, 6 longest.
-- Answers 'taken' and for each delivery id, text, deliveries; or 'other' and whose the work is.
local group, consumer, most, attempts = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[5])
local taken, count = {'taken'}, 0

local function deliver(entry, deliveries)
  count = count + 1
  taken[#taken + 1] = entry[1]
  taken[#taken + 1] = content(entry[2])
  taken[#taken + 1] = deliveries
end

-- JUSTID leaves the number of deliveries as it is, and tells on 6.2 also of entries that the cap
-- has dropped: whether there is one still, XCLAIM says.
local function claim(id)
  local deliveries = redis.call('XPENDING', KEYS[1], group, id, id, 1)[1][4]
  if deliveries >= attempts then
    bury(group, id, deliveries, ARGV[6])
    return
  end
  local entry = redis.call('XCLAIM', KEYS[1], group, consumer, 0, id)[1]
  if entry then
    deliver(entry, deliveries + 1)
  else
    redis.call('XACK', KEYS[1], group, id)
  end
end

local cursor = '0-0'
repeat
  local found = redis.pcall('XAUTOCLAIM', KEYS[1], group, consumer, ARGV[4], cursor,
    'COUNT', most - count, 'JUSTID')
  if found.err then
    -- fakeredis has an object there that is no string.
    if not tostring(found.err):find('NOGROUP', 1, true) then
      return found
    end
    local others = redis.call('EXISTS', KEYS[1]) == 1 and redis.call('XINFO', 'GROUPS', KEYS[1])
    if others and others[1] then
      return {'other', others[1][2]}
    end
    redis.call('XGROUP', 'CREATE', KEYS[1], group, '0', 'MKSTREAM')
    break
  end
  cursor = found[1]
  for _, id in ipairs(found[2]) do
    claim(id)
  end
until cursor == '0-0' or count == most

if count < most then
  local found = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', most - count,
    'STREAMS', KEYS[1], '>')
  if found and found[1] then
    -- A row of streams; fakeredis answers the only one without the row.
    local stream = type(found[1]) == 'table' and found[1] or found
    for _, entry in ipairs(stream[2]) do
      deliver(entry, 1)
    end
  end
end
return taken
