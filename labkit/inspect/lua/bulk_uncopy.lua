-- Deletes copies that are what they were when they were made.
-- ARGV: 1 their database or "", 2 that of the client; for each copy its token.
--!include bulk_common
return within(ARGV[1], ARGV[2], function()
  local came = {}
  for at, key in ipairs(KEYS) do
    local mark = token(key)
    if not mark then
      came[at] = GONE
    elseif mark ~= ARGV[at + 2] then
      came[at] = OTHER
    else
      redis.call('UNLINK', key)
      came[at] = CHANGED
    end
  end
  return came
end)
