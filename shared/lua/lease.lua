-- Take, renew or give back a node's lease, and write down what the node says of itself.
--
-- KEYS  leases:{c}, nodes:{c}, counts:{c}, totals:{c}, gone:{c}, seq:{c}
-- ARGV  "take", "renew" or "leave"; node id; TTL ms; revision; user connections; admin connections; JSON, or "" to keep it
--
-- Returns {"lost", now ms} (lapsed, or cleared by others: take a new node id), or
-- {"held", now ms, position of admin's newest event, of all's, newest revision of the admins' states}.
-- A counter's revision rises; what comes late changes nothing.

local leases, nodes, counts, totals, gone, seq = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local how, node = ARGV[1], ARGV[2]
local revision, users, admins = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function count(user_connections, admin_connections)
  local old = redis.call('HGET', counts, node)
  local old_revision, old_users, old_admins = 0, 0, 0
  if old then
    old_revision, old_users, old_admins = string.match(old, '^(%d+) (%d+) (%d+)')
  end
  if revision < tonumber(old_revision) then
    return
  end
  redis.call('HSET', counts, node, revision .. ' ' .. user_connections .. ' ' .. admin_connections)
  redis.call('HINCRBY', totals, 'user', user_connections - tonumber(old_users))
  redis.call('HINCRBY', totals, 'admin', admin_connections - tonumber(old_admins))
end

if redis.call('ZSCORE', gone, node) then
  return {'lost', now}
end
if how == 'renew' then
  local ends = redis.call('ZSCORE', leases, node)
  if not ends or tonumber(ends) < now then
    return {'lost', now}
  end
end

if how == 'leave' then
  count(0, 0)
  redis.call('HDEL', counts, node)
  redis.call('HDEL', nodes, node)
  redis.call('ZREM', leases, node)
else
  redis.call('ZADD', leases, now + tonumber(ARGV[3]), node)
  count(users, admins)
  if ARGV[7] ~= '' then
    redis.call('HSET', nodes, node, ARGV[7])
  end
end

local epoch = redis.call('HGET', seq, '#epoch')
if not epoch then
  epoch = string.format('%.0f', now)
  redis.call('HSET', seq, '#epoch', epoch, '#birth', epoch)
end
local tops = redis.call('HMGET', seq, 'admin', 'all', 's:admin')
local untouched = epoch .. '-0'
return {'held', now, tops[1] or untouched, tops[2] or untouched, tops[3] or '0-0'}
