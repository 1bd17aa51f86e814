-- The text of an entry, from its fields and values in one row; empty where it has none.
local function content(fields)
  for at = 1, #fields, 2 do
    if fields[at] == 'text' then
      return fields[at + 1]
    end
  end
  return ''
end
