-- Where a member is: its value in the hash (stamp and metadata), its row and its score; or nothing.
local function locate(scores, members, member)
  local value = redis.call('HGET', members, member)
  if value then
    local row = value:sub(1, STAMP) .. member
    return value, row, redis.call('ZSCORE', scores, row)
  end
  local shared = redis.call('HGET', members, '')
  if shared then
    local score = redis.call('ZSCORE', scores, shared .. member)
    if score then
      return shared, shared .. member, score
    end
  end
end
