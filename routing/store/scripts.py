"""What Redis does in one step, in Lua, on its own clock. Redis 6.2 and later, Valkey; one hash slot a call.

Rates are kept as the moment at which a bucket would be empty (GCRA), so a line is two numbers however busy it is.
`redis.py` calls these; the meaning is that of `memory.py`.
"""

RESERVE = """
-- KEYS, four a line: requests, tokens, day, places
-- ARGV: lease, tokens, lease ms, fresh; then nine a line: requests burst and ms each, tokens burst and ms each
--       (ms of 0: no limit), rpd (-1: none), day ms, places (-1: any), debts of requests and tokens
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local lease, tokens, lease_ms, fresh = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local wait, why, kept = 0, '', {}

local function ask(ms, reason)
  if ms > wait then wait = ms; why = reason end
end

local function store(key, empty)
  redis.call('SET', key, empty, 'PX', math.ceil(empty - now) + 120000)
end

-- When the bucket would be empty. A store that was lost and came back knows nothing: nobody gets a burst from it.
local function bucket(key, burst, each, debt)
  local known = redis.call('GET', key)
  local empty = known and math.max(tonumber(known), now) or (fresh and now + burst * each or now)
  if debt > 0 or (fresh and not known) then
    empty = empty + debt * each
    store(key, empty)
  end
  return empty
end

for line = 0, #KEYS / 4 - 1 do
  local k, a = line * 4, line * 9 + 4
  local arg = {}
  for i = 1, 9 do arg[i] = tonumber(ARGV[a + i]) end
  local rates = { { 1, arg[1], arg[2], arg[8], 1, 'rpm' }, { 2, arg[3], arg[4], arg[9], tokens, 'tpm' } }
  for _, rate in ipairs(rates) do
    local key, burst, each, debt, units, reason = KEYS[k + rate[1]], rate[2], rate[3], rate[4], rate[5], rate[6]
    if each > 0 then
      local empty = bucket(key, burst, each, debt)
      ask(empty - now + (math.min(units, burst) - burst) * each - 0.000001, reason)
      kept[#kept + 1] = { key, empty + units * each }
    end
  end
  if arg[5] >= 0 and tonumber(redis.call('GET', KEYS[k + 3]) or 0) >= arg[5] then ask(arg[6], 'rpd') end
  redis.call('ZREMRANGEBYSCORE', KEYS[k + 4], '-inf', now)
  if arg[7] >= 0 and redis.call('ZCARD', KEYS[k + 4]) >= arg[7] then ask(20, 'concurrency') end
end

if wait > 0 then return { 0, math.ceil(wait), why } end
for _, pair in ipairs(kept) do store(pair[1], pair[2]) end
for line = 0, #KEYS / 4 - 1 do
  local k, a = line * 4, line * 9 + 4
  if tonumber(ARGV[a + 5]) >= 0 then
    redis.call('INCR', KEYS[k + 3])
    redis.call('PEXPIRE', KEYS[k + 3], math.ceil(tonumber(ARGV[a + 6])) + 3600000)
  end
  redis.call('ZADD', KEYS[k + 4], now + lease_ms, lease)
  redis.call('PEXPIRE', KEYS[k + 4], lease_ms + 60000)
end
return { 1, 0, '' }
"""

SETTLE = """
-- KEYS, two a line: tokens, places. ARGV: lease, tokens to move by; then a line: ms of a token (0: no limit)
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local owned = 0
for line = 0, #KEYS / 2 - 1 do
  local each = tonumber(ARGV[line + 3])
  if redis.call('ZREM', KEYS[line * 2 + 2], ARGV[1]) == 1 then
    owned = 1
    if each > 0 and tonumber(ARGV[2]) ~= 0 then
      local empty = math.max(tonumber(redis.call('GET', KEYS[line * 2 + 1]) or now), now) + ARGV[2] * each
      redis.call('SET', KEYS[line * 2 + 1], math.max(empty, now), 'PX', math.max(0, math.ceil(empty - now)) + 120000)
    end
  end
end
return owned
"""

EXCHANGE = """
-- KEYS: holds (hash), replicas (sorted set), hints (hash)
-- ARGV: replica, present ms, hints as text; then three a notice: name, left ms (0: lifted), text
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 4, #ARGV, 3 do
  local name, left, text = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local held = redis.call('HGET', KEYS[1], name)
  if left <= 0 then redis.call('HDEL', KEYS[1], name)
  elseif not held or tonumber(string.match(held, '^%d+')) < now + left then
    redis.call('HSET', KEYS[1], name, string.format('%d %s', now + left, text))
  end
end
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[2])) do
  redis.call('ZREM', KEYS[2], gone)
  redis.call('HDEL', KEYS[3], gone)
end
local holds = redis.call('HGETALL', KEYS[1])
local running = {}
for i = 1, #holds, 2 do
  local ends, text = string.match(holds[i + 1], '^(%d+) (.*)$')
  local left = tonumber(ends) - now
  if left > 0 then
    running[#running + 1] = { holds[i], left, text }
  else
    redis.call('HDEL', KEYS[1], holds[i])
  end
end
return { redis.call('ZCARD', KEYS[2]), running, redis.call('HVALS', KEYS[3]) }
"""

TAKE = """
-- KEYS: probes (sorted set). ARGV: lease, limit, lease ms. Returns 0 when taken, else ms until one may be free
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
  return math.max(1, redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2] - now)
end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3] + 60000)
return 0
"""

JOIN = """
-- KEYS: landed, lead. ARGV: token, lease ms. Returns {leads, value}
local value = redis.call('GET', KEYS[1])
if value then return { 0, value } end
local leader = redis.call('GET', KEYS[2])
if leader and leader ~= ARGV[1] then return { 0 } end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return { 1 }
"""

LAND = """
-- KEYS: landed, lead. ARGV: token, keep ms (0: nothing to keep), value
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
if tonumber(ARGV[2]) > 0 then redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2]) end
return 1
"""
