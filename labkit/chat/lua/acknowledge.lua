-- KEYS: work. ARGV: group, ids. Answers how many of them were held. What was not is left alone: it
-- is gone, or it waits, since the group was lost and made anew.
local done = 0
for at = 2, #ARGV do
  if redis.call('XACK', KEYS[1], ARGV[1], ARGV[at]) == 1 then
    redis.call('XDEL', KEYS[1], ARGV[at])
    done = done + 1
  end
end
return done
