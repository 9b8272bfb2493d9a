-- Declare nodes dead whose lease has lapsed: their ids may never come back, their counters go at once.
-- What they left in the buckets is cleared afterwards (clear_node.lua); until then they stay in dying:{c}.
--
-- KEYS  leases:{c}, nodes:{c}, counts:{c}, totals:{c}, gone:{c}, dying:{c}
-- ARGV  how long an id stays in gone:{c}, ms
--
-- Returns the ids of all nodes that wait to be cleared.

local leases, nodes, counts, totals, gone, dying = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

for _, node in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', '(' .. string.format('%.0f', now))) do
  local users, admins = string.match(redis.call('HGET', counts, node) or '0 0 0', '^%d+ (%d+) (%d+)')
  redis.call('HINCRBY', totals, 'user', 0 - tonumber(users))
  redis.call('HINCRBY', totals, 'admin', 0 - tonumber(admins))
  redis.call('HDEL', counts, node)
  redis.call('HDEL', nodes, node)
  redis.call('ZREM', leases, node)
  redis.call('ZADD', gone, now, node)
  redis.call('ZADD', dying, now, node)
end
redis.call('ZREMRANGEBYSCORE', gone, '-inf', now - tonumber(ARGV[1]))
return redis.call('ZRANGE', dying, 0, -1)
