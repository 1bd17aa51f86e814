-- Stores a value where its version is higher than that which is there; answers 1 or 0.
-- ARGV: value, version, time to live in ms (0: none)
--!include _versioned

-- Numbers of up to 19 digits, of which Lua would round the last ones.
local function above(a, b)
  local high_a, high_b = tonumber(string.sub(a, 1, -10)) or 0, tonumber(string.sub(b, 1, -10)) or 0
  if high_a ~= high_b then return high_a > high_b end
  return tonumber(string.sub(a, -9)) > tonumber(string.sub(b, -9))
end

if value and not above(ARGV[2], version) then return 0 end
store(ARGV[1], ARGV[2], ARGV[3])
return 1
