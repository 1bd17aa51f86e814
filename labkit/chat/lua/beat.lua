--!include _room
-- ARGV: 8 session. Joins, or stays. Answers the position.
sweep()
beat(ARGV[8])
return {epoch, redis.call('HGET', KEYS[1], 'last')}
