--!include _room
-- ARGV: 8 epoch that was seen, "" for none, 9 number that was seen, "" for the present, 10 count.
-- Answers the epoch, the last number, and what follows.
sweep()
local last = redis.call('HGET', KEYS[1], 'last')
if ARGV[9] == '' then return {epoch, last, {}} end
local from = ARGV[9]
if ARGV[8] ~= '' and ARGV[8] ~= epoch then from = '0' end
return {epoch, last, redis.call('XRANGE', KEYS[2], '(' .. from .. '-0', '+', 'COUNT', ARGV[10])}
