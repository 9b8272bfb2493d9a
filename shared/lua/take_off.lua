-- Take entries off an archive that are in the database, or note that they were given up.
--
-- KEYS[1]  archive:{tag}      KEYS[2] archive:{tag}:done
-- ARGV[1]  bytes of the last one's id      ARGV[2] its events
--
-- Returns 1, or 0 if another router has come further already: what is noted never goes back, or entries between would
-- seem to be missing.

local bytes, events = tonumber(ARGV[1]), tonumber(ARGV[2])
redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f-%.0f', bytes, events + 1))
local done = redis.call('GET', KEYS[2])
if done and tonumber(string.match(done, '^%d+')) >= bytes then
  return 0
end
redis.call('SET', KEYS[2], string.format('%.0f-%.0f', bytes, events))
return 1
