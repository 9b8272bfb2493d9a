-- Publish messages to audiences of one hash tag: order them, keep them, hand them to the nodes that hold the audience.
-- One step for Redis, so no router can die between the history and the bus, and two routers cannot mix their order.
--
-- KEYS[1]  seq:{tag}
-- KEYS[2]  users:{bucket} for users' streams, leases:{c} for the shared ones
-- KEYS[3]  totals:{c} for the shared ones; users:{bucket} again otherwise (unused)
-- then per message: history stream, operation record; with a state also its table, the table's revisions, its expiries
--
-- ARGV[1]  deadline, ms of this server's clock; 0: none. A call that timed out must not take effect later.
-- ARGV[2]  "users" or "shared"
-- ARGV[3]  users: prefix of the nodes' channels; shared: unused
-- ARGV[4]  history length     ARGV[5] history TTL, ms
-- then nine per message:
--    "e" event, "s" state, "b" both | stream | user id, or the shared stream's channel | payload
--    the envelope's fields after the position, up to the state | digest of the body | expires_at, ms, or ""
--    TTL of the operation record, ms; 0: keep none | "1" if the operation's key was just made, so that no record can be
-- and with a state four more:
--    channel for states (shared) | video id | "<stamp µs> <a active|l active, perhaps late|f final> <TTL ms>" | owner
--
-- Returns {"late"}, or per message {status, position, online, places}; status is
--    "new", "again" (this operation was done before), "conflict" (it was, with another body), "older" (a newer state stands);
--    places is the user's entry in users:{bucket}, or the number of live nodes.

local FIRST_KEY, FIRST_ARG = 4, 6

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local deadline = tonumber(ARGV[1])
if deadline > 0 and now > deadline then
  return {'late'}
end

local seq = KEYS[1]
local shared = ARGV[2] == 'shared'

local epoch = redis.call('HGET', seq, '#epoch')
if not epoch then
  epoch = clock[1]
  redis.call('HSET', seq, '#epoch', epoch, '#birth', epoch)
end

-- Several envelopes for one node travel as one publish.
local parcels, channels = {}, {}
local function hand_over(channel, envelope)
  local parcel = parcels[channel]
  if not parcel then
    parcel = {}
    parcels[channel] = parcel
    channels[#channels + 1] = channel
  end
  parcel[#parcel + 1] = envelope
end

local live_nodes, totals
local function shared_audience(stream)
  if not live_nodes then
    live_nodes = redis.call('ZCOUNT', KEYS[2], now, '+inf')
    totals = redis.call('HMGET', KEYS[3], 'user', 'admin')
  end
  local admins = tonumber(totals[2] or 0)
  local reached = stream == 'admin' and admins or admins + tonumber(totals[1] or 0)
  return live_nodes, reached > 0
end

local function deliver(where, channel, envelope)
  if shared then
    hand_over(channel, envelope)
    return shared_audience(where)
  end
  local places = redis.call('HGET', KEYS[2], where)
  if not places then
    return '', false
  end
  for node in string.gmatch(places, ' ([^ =]+)=') do
    hand_over(ARGV[3] .. node, envelope)
  end
  return places, true
end

-- Returns the state's revision if it became the newest one of its video. seq keeps the table's newest one as s:<stream>,
-- so that a node that missed it on the bus finds out.
-- A record is "<revision> <stamp> <expires> <a|f> <owner>\n<payload>".
local function put_state(keys, stream, video, how, owner, payload)
  local stamp, mark, ttl = string.match(how, '^(%d+) (%a) (%d+)$')
  -- A producer whose clock runs ahead must not silence the others: nothing is newer than now.
  local now_us = clock[1] * 1000000 + clock[2]
  local ahead = tonumber(stamp) > now_us
  stamp = math.min(tonumber(stamp), now_us)
  local record = redis.call('HGET', keys.table, video)
  if record then
    local old_stamp, expires, old_mark = string.match(record, '^[^ ]+ (%d+) (%d+) (%a)')
    old_stamp, expires = tonumber(old_stamp), tonumber(expires)
    if expires > now then
      -- Equal stamps are a repetition, unless both were cut to now: then the later is the newer, but undoes no end.
      local undoes = old_mark == 'f' and mark ~= 'f'
      if stamp < old_stamp or (stamp == old_stamp and (undoes or not ahead)) then
        return nil
      end
      -- Without a producer's stamp, 99 % shortly after the end is a straggler and no new start.
      if mark == 'l' and old_mark == 'f' and stamp - old_stamp < 10000000 then
        return nil
      end
    end
  end
  local r = redis.call('HINCRBY', seq, '#rev', 1)
  local revision = epoch .. '-' .. r
  redis.call('HSET', seq, 's:' .. stream, revision)
  local expires = now + tonumber(ttl)
  redis.call('HSET', keys.table, video, table.concat({
    revision, string.format('%.0f', stamp), string.format('%.0f', expires), mark == 'f' and 'f' or 'a', owner,
  }, ' ') .. '\n' .. payload)
  redis.call('ZADD', keys.revisions, r, video)
  redis.call('ZADD', keys.expiries, expires, video)
  local dead = redis.call('ZRANGEBYSCORE', keys.expiries, '-inf', now, 'LIMIT', 0, 10)
  if #dead > 0 then
    redis.call('HDEL', keys.table, unpack(dead))
    redis.call('ZREM', keys.revisions, unpack(dead))
    redis.call('ZREM', keys.expiries, unpack(dead))
  end
  for _, key in pairs(keys) do
    redis.call('PEXPIRE', key, 86400000)
  end
  return revision
end

local function envelope(kind, stream, position, tail, state, payload)
  return table.concat({'1', kind, #payload, stream, position, tail, state}, ' ') .. '\n' .. payload
end

local function publish(k, a)
  local history, operation = KEYS[k], KEYS[k + 1]
  local kind, stream, where, payload, tail = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4]
  local digest, expires_at, operation_ttl, fresh = ARGV[a + 5], ARGV[a + 6], tonumber(ARGV[a + 7]), ARGV[a + 8] == '1'
  local target = shared and stream or where

  if operation_ttl > 0 and not fresh then
    local done = redis.call('GET', operation)
    if done then
      local old_digest, position, online, places = string.match(done, '^([^ ]+) ([^ ]+) (%d) (.*)$')
      if old_digest ~= digest then
        return {'conflict', '', 0, ''}
      end
      -- The first call may have died before its publish was heard: say it again, receivers drop what they have.
      local kept = position ~= '-' and redis.call('XRANGE', history, position, position)
      if kept and kept[1] then
        deliver(target, where, envelope('e', stream, position, tail, '-', kept[1][2][2]))
      end
      return {'again', position, tonumber(online), places}
    end
  end

  local revision, state_channel, video
  if kind ~= 'e' then
    local keys = {table = KEYS[k + 2], revisions = KEYS[k + 3], expiries = KEYS[k + 4]}
    state_channel, video = ARGV[a + 9], ARGV[a + 10]
    revision = put_state(keys, stream, video, ARGV[a + 11], ARGV[a + 12], payload)
  end

  local position, places, online = '-', '', false
  if kind ~= 's' then
    local n = 1
    local top = redis.call('HGET', seq, stream)
    if top then
      n = tonumber(string.match(top, '-(%d+)$')) + 1
    end
    position = epoch .. '-' .. string.format('%.0f', n)
    local entry = {'m', payload}
    if expires_at ~= '' then
      entry[3], entry[4] = 'x', expires_at
    end
    if top and string.match(top, '^%d+') ~= epoch then
      -- The first of its epoch names the one before it: what came between, and was forgotten, is seen to be missing.
      entry[#entry + 1] = 'p'
      entry[#entry + 1] = top
    end
    redis.call('XADD', history, 'MAXLEN', '~', ARGV[4], position, unpack(entry))
    redis.call('PEXPIRE', history, ARGV[5])
    redis.call('HSET', seq, stream, position)
    local state = revision and (video .. '@' .. revision) or '-'
    places, online = deliver(target, where, envelope('e', stream, position, tail, state, payload))
  elseif revision then
    local state = video .. '@' .. revision
    places, online = deliver(target, state_channel, envelope('s', stream, revision, tail, state, payload))
  end
  online = online and 1 or 0
  if operation_ttl > 0 then
    redis.call('SET', operation, table.concat({digest, position, online, places}, ' '), 'PX', operation_ttl)
  end
  local status = (kind == 's' and not revision) and 'older' or 'new'
  return {status, position, online, places}
end

local results = {}
local k, a = FIRST_KEY, FIRST_ARG
while k <= #KEYS do
  results[#results + 1] = publish(k, a)
  local with_state = ARGV[a] ~= 'e'
  k = k + (with_state and 5 or 2)
  a = a + (with_state and 13 or 9)
end
for _, channel in ipairs(channels) do
  redis.call('PUBLISH', channel, table.concat(parcels[channel]))
end
return results
