-- Remove what a dead node left in one bucket, a chunk at a time; doing it twice does no harm.
-- What other nodes have written stays as they wrote it: they may be of another version. It goes with the last place.
--
-- KEYS  users:{b}, held:{b}:<node>, tomb:{b}:<node>
-- ARGV  node id, users per call, how long nothing may be registered under the node id, ms
--
-- Returns how many of its users are left.

local users, held, tomb = KEYS[1], KEYS[2], KEYS[3]
local node = ARGV[1]

redis.call('SET', tomb, '1', 'PX', ARGV[3])
redis.call('HDEL', held, '#rev')
local cursor, chunk = '0', {}
repeat
  local page = redis.call('HSCAN', held, cursor, 'COUNT', ARGV[2])
  cursor = page[1]
  for i = 1, #page[2], 2 do
    chunk[#chunk + 1] = page[2][i]
  end
until cursor == '0' or #chunk >= tonumber(ARGV[2])

for _, user in ipairs(chunk) do
  local places = redis.call('HGET', users, user) or '1'
  local kept, elsewhere = {string.match(places, '^%d+')}, false
  for word, name, count in string.gmatch(places, ' (([^ =]+)=?(%d*)[^ ]*)') do
    if name ~= node then
      kept[#kept + 1] = word
      elsewhere = elsewhere or count ~= ''
    end
  end
  if elsewhere then
    redis.call('HSET', users, user, table.concat(kept, ' '))
  else
    redis.call('HDEL', users, user)
  end
  redis.call('HDEL', held, user)
end
return redis.call('HLEN', held)
