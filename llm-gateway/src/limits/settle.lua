-- ARGV: id, 1 on the first try, then for each counter what was reserved, what was taken, and its window in ms.
-- A reservation whose lease ended is still counted, once: only on the first try, since later ones may repeat it.
local id, first = ARGV[1], ARGV[2] == '1'
for i = 1, #KEYS / 2 do
  local reserved, taken = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  local counter = load(i, tonumber(ARGV[3 * i + 2]))
  local held = redis.call('ZREM', counter.leases, id .. ':' .. text(reserved)) == 1
  if held then counter.reserved = counter.reserved - reserved end
  if held or first then
    counter.spent = counter.spent + taken
    if counter.newest and taken > 0 then redis.call('HINCRBY', counter.hash, text(counter.newest), text(taken)) end
  end
  save(counter, 0)
end
return 1
