-- Declare nodes dead whose lease has lapsed: their ids may never come back, their counters go at once.
-- What they left in the buckets is cleared afterwards (clear_node.lua); until then they stay in dying:{c}.
--
-- Leases lapse as well while nobody reaches this server, and then nobody looks here either. So after a long time
-- without a look all leases hold anew: whoever lives renews its own, and whoever does not lapses for good.
--
-- KEYS  leases:{c}, nodes:{c}, counts:{c}, totals:{c}, gone:{c}, dying:{c}, buried:{c}
-- ARGV  how long an id stays in gone:{c}, ms; how long nobody looked where nobody reached the server, ms;
--       how long leases hold, ms
--
-- Returns the ids of all nodes that wait to be cleared.

local leases, nodes, counts, totals, gone, dying, buried = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local looked = tonumber(redis.call('HGET', buried, '#looked') or now)
redis.call('HSET', buried, '#looked', string.format('%.0f', now))
if now - looked > tonumber(ARGV[2]) then
  for _, node in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
    redis.call('ZADD', leases, 'GT', now + tonumber(ARGV[3]), node)
  end
end

for _, node in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', '(' .. string.format('%.0f', now))) do
  local users, admins = string.match(redis.call('HGET', counts, node) or '0 0 0', '^%d+ (%d+) (%d+)')
  local draining = string.find(redis.call('HGET', nodes, node) or '', '"state":"draining"', 1, true)
  local state = draining and 'draining' or 'up'
  redis.call('HINCRBY', buried, state, 1)
  redis.call('HINCRBY', buried, state .. '_connections', users + admins)
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
