--!include _room
-- Answers the sessions that are not over.
sweep()
return redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. at, '+inf')
