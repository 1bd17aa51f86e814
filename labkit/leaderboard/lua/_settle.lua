-- What a policy makes of a score: the score to keep and the moment at which it was reached. It
-- goes by the moments, not by the order of arrival, so a score that comes late changes nothing
-- that it would not have changed in time. Lower is better here (see _board.lua).
local function settle(policy, old, since, seen, given, moment)
  if not old then
    return given, moment
  elseif policy == 'best' then
    if given < old or (given == old and moment < since) then
      return given, moment
    end
  elseif policy == 'first' then
    if moment < since then
      return given, moment
    end
  elseif policy == 'last' then
    if moment >= seen then
      return given, given == old and since or moment
    end
  elseif given ~= 0 then
    return old + given, math.max(since, moment)
  end
  return old, since
end

local function text(score)
  return string.format('%.17g', score)
end
