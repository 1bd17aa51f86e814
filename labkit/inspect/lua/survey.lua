-- One step of SCAN, and what there is to know of each key that it meets; nothing is changed.
-- ARGV: 1 cursor, 2 pattern, 3 count, 4 type or "", 5 samples for MEMORY USAGE or "" to leave it out.
-- Answers the cursor and columns: keys, types, ms to live, bytes, encodings, idle seconds, how often
-- used. Types and encodings are numbers, from 0, into the lists of names at the end. -1 is what could
-- not be seen.
local words = {'SCAN', ARGV[1], 'COUNT', ARGV[3]}
if ARGV[2] ~= '*' then
  words[#words + 1] = 'MATCH'
  words[#words + 1] = ARGV[2]
end
if ARGV[4] ~= '' then
  words[#words + 1] = 'TYPE'
  words[#words + 1] = ARGV[4]
end
local step = redis.call(unpack(words))

-- What the server has not, or does not let us ask, is asked once.
local refused = {}
local function ask(what, ...)
  if refused[what] then return nil end
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then
    refused[what] = true
    return nil
  end
  return reply
end

local function coder()
  local names, codes = {}, {}
  return names, function(name)
    if not codes[name] then
      names[#names + 1] = name
      codes[name] = #names - 1
    end
    return codes[name]
  end
end

local kinds, kind_of = coder()
local encodings, encoding_of = coder()
local keys, types, ttls, sizes, codes, idles, uses = {}, {}, {}, {}, {}, {}, {}
local found = 0
-- What has one of these encodings is of one type, and need not be asked for it.
local of_encoding = {
  int = 'string', embstr = 'string', raw = 'string', quicklist = 'list', intset = 'set',
  skiplist = 'zset', stream = 'stream',
}

for _, key in ipairs(step[2]) do
  local encoding = ask('encoding', 'OBJECT', 'ENCODING', key)
  local kind = of_encoding[encoding]
  if not kind then
    kind = redis.call('TYPE', key)
    kind = type(kind) == 'table' and kind.ok or kind
  end
  if kind ~= 'none' then
    found = found + 1
    keys[found] = key
    types[found] = kind_of(kind)
    ttls[found] = redis.call('PTTL', key)
    sizes[found] = ARGV[5] ~= '' and ask('memory', 'MEMORY', 'USAGE', key, 'SAMPLES', ARGV[5]) or -1
    codes[found] = encoding and encoding_of(encoding) or -1
    idles[found] = ask('idle', 'OBJECT', 'IDLETIME', key) or -1
    uses[found] = ask('used', 'OBJECT', 'FREQ', key) or -1
  end
end
return {step[1], keys, types, ttls, sizes, codes, idles, uses, kinds, encodings}
