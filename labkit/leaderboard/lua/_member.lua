-- Where a member is: its value in the hash (stamp and metadata), its row and its score; or nothing.
local function locate(scores, members, member)
  local found = redis.call('HMGET', members, member, '')
  local value = found[1] or found[2]
  if value then
    local row = value:sub(1, STAMP) .. member
    local score = redis.call('ZSCORE', scores, row)
    if score then
      return value, row, score
    end
  end
end
