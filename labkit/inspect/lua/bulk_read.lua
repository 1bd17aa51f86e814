-- What keys are now; nothing is changed. Stops early where what was dumped has grown large.
-- ARGV: 1 what to look at: "expiry", "token" (and expiry), or "dump" (and both); 2 how many bytes are
-- large. Answers the time in ms and columns: expiries in ms, tokens, dumps.
--!include bulk_common
local expiries, tokens, dumps = {}, {}, {}
local size, most = 0, tonumber(ARGV[2])

for at, key in ipairs(KEYS) do
  if size >= most then break end
  expiries[at] = expiry(key)
  local mark, dump
  if ARGV[1] ~= 'expiry' then
    mark, dump = token(key)
    size = size + (dump and #dump or 0)
  end
  tokens[at] = mark or ''
  dumps[at] = ARGV[1] == 'dump' and dump or ''
end
return {now, expiries, tokens, dumps}
