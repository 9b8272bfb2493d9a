-- Write down how many connections of which users a node holds, in one bucket.
-- Counts are absolute and come with a rising revision: a retried or late call changes nothing twice or backwards.
-- An entry is shared by nodes of several versions: what others have written stays as they wrote it,
-- and goes with the last place.
--
-- KEYS  users:{b}, held:{b}:<node>, tomb:{b}:<node>, blocked:{b}, seq:{b}, then per user its state table
-- ARGV  node id, revision, then three per user: user id, connections (0: none left), stream name
--
-- Returns {"dead"} (this node id was cleared: take a new one), {"stale"} (a newer revision was here), or
-- {"ok", now ms, position of an untouched stream, then five per user:
--    connections on other nodes, 1 if blocked, position of the stream's newest event or "", 1 if it has states,
--    how the number of users of the cluster changed: 1, 0, -1}

local users, held, tomb, blocked, seq = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local node, revision = ARGV[1], tonumber(ARGV[2])

if redis.call('EXISTS', tomb) == 1 then
  return {'dead'}
end
if revision < tonumber(redis.call('HGET', held, '#rev') or 0) then
  return {'stale'}
end
redis.call('HSET', held, '#rev', revision)

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local epoch = redis.call('HGET', seq, '#epoch')
if not epoch then
  epoch = string.format('%.0f', now)
  redis.call('HSET', seq, '#epoch', epoch, '#birth', epoch)
end

local any_blocked = redis.call('EXISTS', blocked) == 1
local own = ' ' .. node .. '='
local reply = {'ok', now, epoch .. '-0'}
local k = 6
for a = 3, #ARGV, 3 do
  local user, count = ARGV[a], tonumber(ARGV[a + 1])
  local places = redis.call('HGET', users, user)
  local others, elsewhere, connections = {string.match(places or '1', '^%d+')}, false, 0
  for word, name, held_there in string.gmatch(places or '', ' (([^ =]+)=?(%d*)[^ ]*)') do
    if name ~= node then
      others[#others + 1] = word
      connections = connections + (tonumber(held_there) or 0)
      elsewhere = elsewhere or held_there ~= ''
    end
  end
  local change = 0
  if count > 0 then
    redis.call('HSET', users, user, table.concat(others, ' ') .. own .. count)
    redis.call('HSET', held, user, count)
    change = places and 0 or 1
  else
    if elsewhere then
      redis.call('HSET', users, user, table.concat(others, ' '))
    elseif places then
      redis.call('HDEL', users, user)
      change = -1
    end
    redis.call('HDEL', held, user)
  end
  local is_blocked = any_blocked and tonumber(redis.call('ZSCORE', blocked, user) or 0) > now
  reply[#reply + 1] = connections
  reply[#reply + 1] = is_blocked and 1 or 0
  reply[#reply + 1] = redis.call('HGET', seq, ARGV[a + 2]) or ''
  reply[#reply + 1] = redis.call('EXISTS', KEYS[k])
  reply[#reply + 1] = change
  k = k + 1
end
return reply
