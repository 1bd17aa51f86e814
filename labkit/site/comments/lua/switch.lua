-- Shows readers the generation that a rebuild has made: ARGV[1]. Answers 0 where another has begun.
--!include _views
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
return 1
