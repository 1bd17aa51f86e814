-- A board is kept so that better always comes first in a sorted set's own order: where high scores
-- win, the score is stored with its sign turned. A row is a stamp followed by the member: the
-- moment at which the score was reached (11 hex digits of milliseconds) and the number of the
-- change (7 more), so that Redis itself, which orders equal scores by bytes, puts first who came
-- first. The hash of members leads from a member to its stamp and metadata; rows that were loaded
-- together share one stamp, which stands there under the empty name.

local STAMP = 18
local layout = redis.call('HGET', KEYS[1], 'layout')
if layout and layout ~= ARGV[1] then
  return redis.error_reply('LAYOUT ' .. layout)
end
