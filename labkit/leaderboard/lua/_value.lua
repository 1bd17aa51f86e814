-- What a value in the hash of members says: the stamp, the moment in it, the moment of the latest
-- score (where the policy is "last" and the same score came again it stands after an "@"), and the
-- metadata as JSON.
local function parse(value)
  local stamp, since = value:sub(1, STAMP), tonumber(value:sub(1, 11), 16)
  if value:byte(STAMP + 1) == 64 then
    return stamp, since, tonumber(value:sub(20, 30), 16), value:sub(31)
  end
  return stamp, since, since, value:sub(STAMP + 1)
end

local function unparse(stamp, moment, latest, metadata)
  if latest > moment then
    return stamp .. string.format('@%011x', latest) .. metadata
  end
  return stamp .. metadata
end
