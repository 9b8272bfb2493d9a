-- Remove states from a table of newest values, unless they have changed since they were read.
--
-- KEYS[1]  the table      KEYS[2] its revisions     KEYS[3] its expiries
-- ARGV     video id and revision, in turn
--
-- Returns how many were removed.

local removed = 0
for i = 1, #ARGV, 2 do
  local video, revision = ARGV[i], ARGV[i + 1]
  local record = redis.call('HGET', KEYS[1], video)
  if record and string.match(record, '^[^ ]+') == revision then
    redis.call('HDEL', KEYS[1], video)
    redis.call('ZREM', KEYS[2], video)
    redis.call('ZREM', KEYS[3], video)
    removed = removed + 1
  end
end
return removed
