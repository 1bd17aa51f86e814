-- Fields of a hash: ARGV[1] and what follows. Answers nil where no view was built.
--!include _views
local at = start(KEYS[1])
return at and redis.call('HMGET', at .. ARGV[1], unpack(ARGV, 2))
