-- Empties a board: every period, the idempotency keys and the past events; the board's settings
-- stay, and those who watch it are told. With "delete" the board itself goes as well.
--
-- KEYS  1 board, 2 periods, 3 changes, then every other key
-- ARGV  1 layout, 2 "clear" or "delete", 3 events kept, 4 now (ms), then the registered names as the
--       caller saw them
-- Answers 1, or nil where the register has changed meanwhile.
--!include _board
--!include _write
if not register_is(5, #ARGV - 4) then
  return false
end
for key = 4, #KEYS do
  redis.call('UNLINK', KEYS[key])
end
redis.call('DEL', KEYS[2], KEYS[3])
if ARGV[2] == 'delete' then
  redis.call('DEL', KEYS[1])
elseif layout then
  redis.call('HDEL', KEYS[1], 'metadata')
  announce(ARGV[3], next_change(1), { 'cleared', '1', 'at', ARGV[4] })
end
return 1
