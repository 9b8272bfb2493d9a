-- Begin a new epoch in one hash tag: this server may have forgotten appends, and no id may be issued twice.
-- Run wherever a server is found not to know our scripts (it started anew, or a replica was promoted), before they
-- are loaded, so that no append can come in between. The numbering of events goes on across epochs.
--
-- KEYS  seq:{t}
--
-- Returns the new epoch: ms of the server's clock, never below the last. Not seconds: everybody who finds out at the same
-- time raises it by one, and an epoch that runs ahead of the clock would be issued again by a server that forgot it too.

local seq = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local epoch = math.max(now, tonumber(redis.call('HGET', seq, '#epoch') or 0) + 1)
redis.call('HSET', seq, '#epoch', string.format('%.0f', epoch))
redis.call('HSETNX', seq, '#birth', string.format('%.0f', epoch))
return epoch
