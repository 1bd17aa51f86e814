--!include _room
-- ARGV: 8 body. Nothing is kept.
return redis.call(ARGV[4], ARGV[3], epoch .. ' 0 ' .. at .. ' ' .. ARGV[8])
