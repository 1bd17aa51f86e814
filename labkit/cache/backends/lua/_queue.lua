-- Appends a write to a stream; answers its id. An id becomes one number of 63 bits, 20 of them for what
-- follows the dash. That runs on while a server's clock stands behind the stream's last id: then the
-- stream begins a millisecond of its own.
local function append(stream, fields)
  local id = redis.call('XADD', stream, '*', unpack(fields))
  local ms, sequence = string.match(id, '(%d+)-(%d+)')
  if tonumber(sequence) >= 1048576 then
    redis.call('XDEL', stream, id)
    id = redis.call('XADD', stream, string.format('%.0f-0', tonumber(ms) + 1), unpack(fields))
  end
  return id
end

-- Whether somebody else owns the partition.
local function owned_by_another(owner, token)
  local holder = redis.call('GET', owner)
  return holder and holder ~= token
end

-- Wakes the writers that wait for room.
local function tell_room(room)
  redis.call('XADD', room, 'MAXLEN', 1, '*', 'room', '1')
  redis.call('PEXPIRE', room, 5000)
end
