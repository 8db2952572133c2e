-- ARGV: id, lease in ms, then for each counter its limit, what is wanted, and its window in ms (0: none).
local id, lease = ARGV[1], tonumber(ARGV[2])
local counters = {}
for i = 1, #KEYS / 2 do
  local cap, wanted = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  local counter = load(i, tonumber(ARGV[3 * i + 2]))
  local used = counter.spent + counter.reserved
  if used + wanted > cap then
    save(counter, lease)
    return {0, i, text(used), text(frees(counter, used + wanted - cap))}
  end
  counter.wanted = wanted
  counters[i] = counter
end
local answer = {1}
for i, counter in ipairs(counters) do
  counter.reserved = counter.reserved + counter.wanted
  if counter.wanted > 0 then
    redis.call('ZADD', counter.leases, text(now + lease), id .. ':' .. text(counter.wanted))
  end
  save(counter, lease)
  answer[i + 1] = text(counter.spent + counter.reserved)
end
return answer
