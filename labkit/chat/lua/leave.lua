--!include _room
-- ARGV: 8 session. Answers whether it was there.
sweep()
return depart(ARGV[8])
