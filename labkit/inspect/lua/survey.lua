-- One step of SCAN, and what there is to know of each key that it meets; nothing is changed.
-- ARGV: 1 cursor, 2 pattern, 3 count, 4 type or "", 5 samples for MEMORY USAGE or "" to leave it out.
-- Answers the cursor and columns: keys, types, ms to live, bytes, encodings, idle seconds, how often
-- used. Keys are one text of as many lines, if none has a line of its own in it, else a list. Types
-- and encodings are texts with a letter for each key, from A on into the lists of names at the end;
-- @ has no name. A column that could not be seen is empty.
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

-- What takes its time here is calls, so each is made only where it can tell something: what the
-- server has not, or does not let us ask, is asked once.
local call, pcall = redis.call, redis.pcall
local see_encoding, see_memory, see_idle, see_uses = true, ARGV[5] ~= '', true, true
local samples = ARGV[5]
local usual = samples == '5'  -- what MEMORY USAGE takes untold

local function coder()
  local names, codes = {}, {}
  return names, codes, function(name)
    names[#names + 1] = name
    codes[name] = string.char(64 + #names)
    return codes[name]
  end
end

local kinds, code_of_kind, new_kind = coder()
local encodings, code_of_encoding, new_encoding = coder()
local keys, types, ttls, sizes, codes, idles, uses = {}, {}, {}, {}, {}, {}, {}
local found = 0
-- What has one of these encodings is of one type, and need not be asked for it.
local of_encoding = {
  int = 'string', embstr = 'string', raw = 'string', quicklist = 'list', intset = 'set',
  skiplist = 'zset', stream = 'stream',
}

for _, key in ipairs(step[2]) do
  local encoding = see_encoding and pcall('OBJECT', 'ENCODING', key)
  if type(encoding) == 'table' then
    see_encoding, encoding = false, false
  end
  local kind = of_encoding[encoding]
  if not kind then
    kind = call('TYPE', key)
    kind = type(kind) == 'table' and kind.ok or kind
  end
  if kind ~= 'none' then
    found = found + 1
    keys[found] = key
    types[found] = code_of_kind[kind] or new_kind(kind)
    ttls[found] = call('PTTL', key)
    codes[found] = encoding and (code_of_encoding[encoding] or new_encoding(encoding)) or '@'
    if see_memory then
      local size = usual and pcall('MEMORY', 'USAGE', key)
        or pcall('MEMORY', 'USAGE', key, 'SAMPLES', samples)
      see_memory = type(size) ~= 'table'
      sizes[found] = size or -1
    end
    if see_idle then
      local idle = pcall('OBJECT', 'IDLETIME', key)
      see_idle = type(idle) ~= 'table'
      idles[found] = idle or -1
    end
    if see_uses then
      local used = pcall('OBJECT', 'FREQ', key)
      see_uses = type(used) ~= 'table'
      uses[found] = used or -1
    end
  end
end
local concat = table.concat
local lines = found > 0 and not string.find(concat(keys), '\n', 1, true) and concat(keys, '\n') or keys
return {
  step[1], lines, concat(types), ttls, see_memory and sizes or {}, concat(codes),
  see_idle and idles or {}, see_uses and uses or {}, kinds, encodings,
}
