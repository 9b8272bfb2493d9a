-- Begin a new epoch in one hash tag: this server may have forgotten appends, and no id may be issued twice.
-- Run wherever a server is found not to know our scripts (it started anew, or a replica was promoted), before they
-- are loaded, so that no append can come in between. The numbering of events goes on across epochs.
--
-- KEYS  seq:{t}
--
-- Returns the new epoch: seconds of the server's clock, never below the last.

local seq = KEYS[1]
local now = tonumber(redis.call('TIME')[1])
local epoch = math.max(now, tonumber(redis.call('HGET', seq, '#epoch') or 0) + 1)
redis.call('HSET', seq, '#epoch', string.format('%.0f', epoch))
redis.call('HSETNX', seq, '#birth', string.format('%.0f', epoch))
return epoch
