-- Takes or keeps a partition, and reads its first writes, oldest first.
-- KEYS: owner, stream. ARGV: token, lease in ms, how many
-- Answers the writes; or, where somebody else owns the partition, the ms that are left of that.
--!include _queue
if owned_by_another(KEYS[1], ARGV[1]) then return redis.call('PTTL', KEYS[1]) end
local writes = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', ARGV[3])
if #writes > 0 then
  redis.call('DEL', KEYS[1]) -- first, since a server that is full refuses the rest, and would stay full
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return writes
