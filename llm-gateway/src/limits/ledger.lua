-- Shared by both steps. KEYS come in pairs: a counter (hash) and its reservations (sorted set by the end of their lease).
-- The time is the server's own, so processes with other clocks agree. Numbers are printed in full: Lua would round them.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local SLICES = 60

local function text(number) return string.format('%.0f', number) end

local function slice_length(per) return math.max(1, math.floor(per / SLICES)) end

-- The counter as it is now: leases that ended are given back, slices that left are let go.
local function load(i, per)
  local hash, leases = KEYS[2 * i - 1], KEYS[2 * i]
  local fields = redis.call('HMGET', hash, 'spent', 'reserved', 'newest')
  local counter = {hash = hash, leases = leases, per = per, spent = tonumber(fields[1] or 0), reserved = tonumber(fields[2] or 0)}
  local ended = redis.call('ZRANGEBYSCORE', leases, '-inf', text(now))
  for _, member in ipairs(ended) do
    counter.reserved = counter.reserved - tonumber(string.match(member, ':(%d+)$'))
    redis.call('ZREM', leases, member)
  end
  if per > 0 then
    local current = math.floor(now / slice_length(per))
    local newest = tonumber(fields[3] or current)
    -- A clock that steps back frees nothing.
    current = math.max(current, newest)
    for slice = newest - SLICES, math.min(newest, current - SLICES - 1) do
      local amount = redis.call('HGET', hash, text(slice))
      if amount then
        counter.spent = counter.spent - tonumber(amount)
        redis.call('HDEL', hash, text(slice))
      end
    end
    counter.newest = current
  end
  return counter
end

local function save(counter, lease)
  redis.call('HSET', counter.hash, 'spent', text(counter.spent), 'reserved', text(counter.reserved))
  local kept = REMEMBERED
  if counter.newest then
    redis.call('HSET', counter.hash, 'newest', text(counter.newest))
    kept = counter.per * 2 + lease
  end
  redis.call('PEXPIRE', counter.hash, text(kept + 1000))
  redis.call('PEXPIRE', counter.leases, text(kept + 1000))
end

-- When so much of what is used will be free again; -1: never.
local function frees(counter, needed)
  if not counter.newest then
    if counter.reserved >= needed then return 1000 end
    return -1
  end
  local freed = 0
  for slice = counter.newest - SLICES, counter.newest do
    freed = freed + tonumber(redis.call('HGET', counter.hash, text(slice)) or 0)
    if freed >= needed then return (slice + SLICES + 1) * slice_length(counter.per) - now end
  end
  return 1000
end
