-- KEYS  1 live: names the generation that readers see, 2 next: the one that a rebuild is making
--
-- Of generation g, every key begins with root .. g .. ':'. All have the hash tag of KEYS, and so are
-- in their slot: a script may make their names of what it reads.
local root = KEYS[1]:sub(1, -5)

-- What the keys of a generation begin with; nil: there is none.
local function start(key)
  local generation = redis.call('GET', key)
  return generation and root .. generation .. ':'
end
