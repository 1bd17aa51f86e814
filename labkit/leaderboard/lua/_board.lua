-- A board is kept so that better always comes first in a sorted set's own order: where high scores
-- win, the score is stored with its sign turned. A row is a stamp followed by the member: the
-- moment at which the score was reached (11 hex digits of milliseconds) and the number of the
-- change (7 more), so that Redis itself, which orders equal scores by bytes, puts first who came
-- first. The hash of members leads from a member to its stamp and metadata.

local STAMP = 18
local board = redis.call('HMGET', KEYS[1], 'layout', 'levels', 'metadata', 'secret')
if board[1] and board[1] ~= ARGV[1] then
  return redis.error_reply('LAYOUT ' .. board[1])
end
local has_levels, has_metadata, secret = board[2], board[3], board[4]

-- A member's value in the hash: the stamp, then (where the policy is "last" and the same score came
-- again) "@" and the moment of the latest one, then the metadata as JSON.
local function parse(value)
  local stamp, since = value:sub(1, STAMP), tonumber(value:sub(1, 11), 16)
  if value:byte(STAMP + 1) == 64 then
    return stamp, since, tonumber(value:sub(20, 30), 16), value:sub(31)
  end
  return stamp, since, since, value:sub(STAMP + 1)
end
