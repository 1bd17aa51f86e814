-- Stores the settings of a board; makes the board where there is none.
--
-- KEYS  1 board
-- ARGV  1 layout, 2 settings, 3 secret, 4 now (ms), 5 levels wanted
-- Answers 1 where the board is new.
--!include _board
--!include _write
local is_new = not layout
ensure(ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5])
redis.call('HSET', KEYS[1], 'settings', ARGV[2])
return is_new and 1 or 0
