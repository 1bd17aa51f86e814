-- Applies the states of comments to what readers see, and to what a rebuild is making.
-- ARGV  1 for how long what is not seen is remembered (ms), 2 the states
-- Answers how many of them were news.
--!include _views
--!include _put
local live, next_one = start(KEYS[1]), start(KEYS[2])
local news = 0
for _, state in ipairs(states(2)) do
  local seen = live and put(live, state, ARGV[1]) or 0
  local built = next_one and put(next_one, state, ARGV[1]) or 0
  news = news + math.max(seen, built)
end
return news
