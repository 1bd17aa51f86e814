--!include _room
-- ARGV: 8 where to begin, going back, 9 count. Answers the epoch and the entries, the latest first.
return {epoch, redis.call('XREVRANGE', KEYS[2], ARGV[8], '-', 'COUNT', ARGV[9])}
