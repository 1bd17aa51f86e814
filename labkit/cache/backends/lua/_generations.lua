-- KEYS: value, lease, note, epoch, generation of the namespace, generations of the tags...
local value_key, lease_key, note_key, epoch_key, FIRST = KEYS[1], KEYS[2], KEYS[3], KEYS[4], 5

-- The generations as one text, 8 bytes each. One that is missing, because it was dropped, evicted or
-- has expired, is made anew where `fresh` is given: no value stored before can match it. Those made
-- together differ in their last byte, so that no value is taken for one that carries another tag.
local function generations(fresh, ms)
  local found = redis.call('MGET', unpack(KEYS, FIRST))
  local made = {}
  for i, generation in ipairs(found) do
    if not generation or #generation ~= 8 then
      if not fresh then return false end
      local key = KEYS[FIRST + i - 1]
      if not made[key] then
        made[key] = string.sub(fresh, 1, 7) .. string.char(i)
        if i > 1 and ms > 0 then
          redis.call('SET', key, made[key], 'PX', ms)
        else
          redis.call('SET', key, made[key])
        end
      end
      found[i] = made[key]
    end
  end
  return table.concat(found)
end

-- A tag's generation outlives every value that carries it.
local function outlive(ms)
  for i = FIRST + 1, #KEYS do
    if ms == 0 then
      redis.call('PERSIST', KEYS[i])
    else
      local left = redis.call('PTTL', KEYS[i])
      if left >= 0 and left < ms then redis.call('PEXPIRE', KEYS[i], ms) end
    end
  end
end

-- What the lease holds. (MGET takes what is no text for missing, where GET would fail.)
local function lease_held()
  return redis.call('MGET', lease_key)[1]
end

-- Ends a lease; `held` is what it holds. Whoever waits has added a sign to it and wakes at the note.
local function finish(held)
  redis.call('DEL', lease_key)
  if #held > 16 then
    redis.call('XADD', note_key, '*', 'end', '1')
    redis.call('PEXPIRE', note_key, 2000)
  end
end

local function store(body, ms, current, channel, message)
  local blob = string.sub(body, 1, 3) .. current .. string.sub(body, 4)
  if ms == 0 then
    redis.call('SET', value_key, blob)
  else
    redis.call('SET', value_key, blob, 'PX', ms)
  end
  outlive(ms)
  redis.call('PUBLISH', channel, message)
end
