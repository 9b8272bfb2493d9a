-- Begin a new epoch in one hash tag: this server may have forgotten appends, and no id may be issued twice.
-- Run wherever a server is found not to know our scripts (it started anew, or a replica was promoted), before they
-- are loaded, so that no append can come in between. The numbering of events goes on across epochs.
--
-- KEYS  seq:{t}
-- ARGV  the server's run id
--
-- Returns the epoch: ms of the server's clock, never below the last. A crowd that finds out at the same time raises it
-- once: raised by each, it would run ahead of the clock, and be issued again by a server that starts anew and empty.

local seq = KEYS[1]
if redis.call('HGET', seq, '#run') == ARGV[1] then
  return tonumber(redis.call('HGET', seq, '#epoch'))
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local epoch = math.max(now, tonumber(redis.call('HGET', seq, '#epoch') or 0) + 1)
redis.call('HSET', seq, '#epoch', string.format('%.0f', epoch), '#run', ARGV[1])
redis.call('HSETNX', seq, '#birth', string.format('%.0f', epoch))
-- A hash of up to 512 short values is searched from its beginning: one long value makes it a table, which spares a
-- publish in the middle of 250 streams a tenth of its time.
redis.call('HSETNX', seq, '#about', 'stream -> position of its newest event; s:<stream> -> revision of its newest state')
return epoch
