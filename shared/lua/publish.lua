-- Publish messages to audiences of one hash tag: order them, keep them, hand them to the nodes that hold the audience.
-- One step for Redis, so no router can die between the history and the bus, and two routers cannot mix their order.
--
-- KEYS[1]  seq:{tag}
-- KEYS[2]  users:{bucket} for users' streams, leases:{c} for the shared ones
-- KEYS[3]  totals:{c} for the shared ones; users:{bucket} again otherwise (unused)
-- KEYS[4]  archive:{tag}
-- then per operation its record, followed per message by: history stream; with a state also its table, the table's
-- revisions, its expiries
--
-- ARGV[1]  deadline, ms of this server's clock; 0: none. A call that timed out must not take effect later.
-- ARGV[2]  "users" or "shared"
-- ARGV[3]  users: prefix of the nodes' channels; shared: unused
-- ARGV[4]  history length     ARGV[5] history TTL, ms
-- ARGV[6]  bytes that may wait in the archive for the database; 0: there is none
-- then five per operation:
--    number of its messages here | digest of its body | TTL of its record, ms; 0: keep none
--    "1" if its key was just made, so that no record can be | "<published_at> <traceparent>", as envelopes bear them
-- followed by six per message:
--    "e" event, "s" state, "b" both | its name within the operation | stream | user id, or the shared stream's channel
--    payload | expires_at, ms, or "-"
-- and with a state four more:
--    channel for states (shared) | video id | "<stamp µs> <a active|l active, perhaps late|f final> <TTL ms>" | owner
--
-- Returns "late", or per message a line "<status> <position> <online> <places>\n"; status is
--    "new", "again" (this operation was done before), "conflict" (it was, with another body), "older" (a newer state stands);
--    places is the user's entry in users:{bucket}, or the number of live nodes. Text, since a table per message would
--    cost a tenth of it, here and again where it is read.
--
-- What all messages need of the tag is read once before them and written once after them: commands are the greater part
-- of what a message costs.

local FIRST_KEY, FIRST_ARG = 5, 7
local ODD, TRACEPARENT = '13579bdf', 55  -- the last digit of a sampled traceparent, and its length
local call, find, format, gmatch = redis.call, string.find, string.format, string.gmatch
local match, sub = string.match, string.sub

local clock = call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local deadline = tonumber(ARGV[1])
if deadline > 0 and now > deadline then
  return 'late'
end

local seq = KEYS[1]
local shared = ARGV[2] == 'shared'

local messages, operations = {}, {}
do
  local k, a = FIRST_KEY, FIRST_ARG
  while k <= #KEYS do
    -- One operation may come several times: its messages stay in their order among those of others.
    local key, count, digest = KEYS[k], tonumber(ARGV[a]), ARGV[a + 1]
    local operation = operations[key]
    if not operation then
      operation = {
        key = key, digest = digest, ttl = tonumber(ARGV[a + 2]), fresh = ARGV[a + 3] == '1', origin = ARGV[a + 4],
        trace = find(ODD, sub(ARGV[a + 4], -1), 1, true) and sub(ARGV[a + 4], -TRACEPARENT), done = {},
      }
      operations[key] = operation
    elseif operation.digest ~= digest then
      operation = {conflict = true}
    end
    k, a = k + 1, a + 5
    for _ = 1, count do
      local message = {
        operation = operation, history = KEYS[k], kind = ARGV[a], name = ARGV[a + 1], stream = ARGV[a + 2],
        where = ARGV[a + 3], payload = ARGV[a + 4], expires_at = ARGV[a + 5],
      }
      messages[#messages + 1] = message
      k, a = k + 1, a + 6
      if message.kind ~= 'e' then
        message.states = {table = KEYS[k], revisions = KEYS[k + 1], expiries = KEYS[k + 2]}
        message.channel, message.video, message.how, message.owner = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]
        k, a = k + 3, a + 4
      end
    end
  end
end

-- Several envelopes for one node travel as one publish. An envelope stays in two parts, head and payload, until then:
-- every string that Lua puts together is copied and hashed.
local parcels, channels = {}, {}
local function hand_over(channel, head, payload)
  local parcel = parcels[channel]
  if not parcel then
    parcel = {}
    parcels[channel] = parcel
    channels[#channels + 1] = channel
  end
  local n = #parcel
  parcel[n + 1], parcel[n + 2] = head, payload
end

-- For all messages at once: the epoch, where the archive stands, the newest position of each stream, and where each
-- user is.
local epoch, archive_top, tops, places_of = nil, nil, {}, {}
do
  local fields, users = {'#epoch', '#archive'}, {}
  for i, message in ipairs(messages) do
    fields[i + 2], users[i] = message.stream, message.where
  end
  local known = call('HMGET', seq, unpack(fields))
  local places = shared and {} or call('HMGET', KEYS[2], unpack(users))
  epoch, archive_top = known[1], known[2]
  for i, message in ipairs(messages) do
    tops[message.stream] = known[i + 2]
    places_of[message.where] = places[i]
  end
end
if not epoch then
  epoch = format('%.0f', now)
  call('HSET', seq, '#epoch', epoch, '#birth', epoch)
end

local live_nodes, totals
local function shared_audience(stream)
  if not live_nodes then
    live_nodes = call('ZCOUNT', KEYS[2], now, '+inf')
    totals = call('HMGET', KEYS[3], 'user', 'admin')
  end
  local admins = tonumber(totals[2] or 0)
  local reached = stream == 'admin' and admins or admins + tonumber(totals[1] or 0)
  return live_nodes, reached > 0
end

local channels_of = {}  -- places -> channels: most users of a call are on the same few nodes
-- Returns the audience's places, and whether anybody is there.
local function deliver(message, channel, head, payload)
  if shared then
    hand_over(channel, head, payload)
    return shared_audience(message.stream)
  end
  local places = places_of[message.where]
  if not places then
    return '', false
  end
  local there = channels_of[places]
  if not there then
    there = {}
    for node in gmatch(places, ' ([^ =]+)=') do
      there[#there + 1] = ARGV[3] .. node
    end
    channels_of[places] = there
  end
  for _, channel in ipairs(there) do
    hand_over(channel, head, payload)
  end
  return places, true
end

-- What an operation has done in this tag is one record: its digest, then a line per message,
-- "<name>:<stream> <position> <online> <places>", its result as it is returned.
local function load_record(operation)
  if operation.ttl == 0 or operation.fresh then
    return
  end
  local record = call('GET', operation.key)
  if not record then
    return
  end
  local digest, lines = match(record, '^([^\n]*)\n(.*)$')
  operation.conflict = digest ~= operation.digest
  operation.lines = {record}
  for name, result in gmatch(lines, '([^ ]+) ([^\n]*\n)') do
    operation.done[name] = result
  end
end
for _, operation in pairs(operations) do
  load_record(operation)
end

local function note(message, result)
  local operation = message.operation
  -- A state said twice is the same state: under a key made for this one call it would be remembered for nothing.
  if operation.ttl == 0 or (operation.fresh and message.kind == 's') then
    return
  end
  local lines = operation.lines or {operation.digest .. '\n'}
  local n = #lines
  lines[n + 1], lines[n + 2] = message.name .. ':' .. message.stream .. ' ', result
  operation.lines, operation.changed = lines, true
  if not operation.fresh then
    operation.done[message.name .. ':' .. message.stream] = result
  end
end

-- Returns the state's revision if it became the newest one of its video. seq keeps the table's newest one as s:<stream>,
-- so that a node that missed it on the bus finds out.
-- A record is "<revision> <stamp> <expires> <a|f> <owner>\n<payload>".
local function put_state(message)
  local keys, video = message.states, message.video
  local stamp, mark, ttl = match(message.how, '^(%d+) (%a) (%d+)$')
  -- A producer whose clock runs ahead must not silence the others: nothing is newer than now.
  local now_us = clock[1] * 1000000 + clock[2]
  local ahead = tonumber(stamp) > now_us
  stamp = math.min(tonumber(stamp), now_us)
  local record = call('HGET', keys.table, video)
  if record then
    local old_stamp, expires, old_mark = match(record, '^[^ ]+ (%d+) (%d+) (%a)')
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
  local r = call('HINCRBY', seq, '#rev', 1)
  local revision = epoch .. '-' .. r
  call('HSET', seq, 's:' .. message.stream, revision)
  local expires = now + tonumber(ttl)
  call('HSET', keys.table, video, table.concat({
    revision, format('%.0f', stamp), format('%.0f', expires), mark == 'f' and 'f' or 'a', message.owner,
  }, ' ') .. '\n' .. message.payload)
  call('ZADD', keys.revisions, r, video)
  call('ZADD', keys.expiries, expires, video)
  local dead = call('ZRANGEBYSCORE', keys.expiries, '-inf', now, 'LIMIT', 0, 10)
  if #dead > 0 then
    call('HDEL', keys.table, unpack(dead))
    call('ZREM', keys.revisions, unpack(dead))
    call('ZREM', keys.expiries, unpack(dead))
  end
  for _, key in pairs(keys) do
    call('PEXPIRE', key, 86400000)
  end
  return revision
end

local function head_of(kind, message, position, state, payload)
  return '1 ' .. kind .. format(' %d ', #payload) .. message.stream .. ' ' .. position .. ' '
    .. message.operation.origin .. ' ' .. message.expires_at .. ' ' .. state .. '\n'
end

-- Returns what stands under a name in an entry of a history.
local function kept_field(entry, name)
  for i = 1, #entry[2], 2 do
    if entry[2][i] == name then
      return entry[2][i + 1]
    end
  end
end

-- The events of this call wait for the inbox's database as one entry, as the bus bears them. Its id tells what was
-- ever archived in this tag, "<bytes>-<events>": so one command appends, keeps the bound in bytes and lets the reader
-- see how many events were given up. Should somebody have meddled with seq or the archive, it goes on from what is there.
local archive_limit, to_archive = tonumber(ARGV[6]), {}  -- heads and payloads
local TRIM_EVERY = 65536  -- bytes; an XADD that trims costs as much as three that do not
local function last_archived()
  local info = redis.pcall('XINFO', 'STREAM', KEYS[4])  -- its last id, even if there is nothing in it any more
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      return info[i + 1]
    end
  end
  return '0-0'
end
local function archive()
  local text = table.concat(to_archive)
  local bytes, events = match(archive_top or '0-0', '^(%d+)%-(%d+)$')
  for _ = 1, 2 do
    local before = tonumber(bytes)
    bytes = before + #text + 64  -- what an entry costs beside its text
    local id, added = format('%d-%d', bytes, events + #to_archive / 2), nil
    if bytes - bytes % TRIM_EVERY > before then
      local oldest = format('%d', math.max(0, bytes - archive_limit))
      added = redis.pcall('XADD', KEYS[4], 'MINID', '~', oldest, id, 'e', text)
    else
      added = redis.pcall('XADD', KEYS[4], id, 'e', text)
    end
    if type(added) == 'string' then
      return id
    end
    bytes, events = match(last_archived(), '^(%d+)%-(%d+)$')
  end
end

local moved = {}
local epoch_dash = epoch .. '-'
local function append(message, state)
  local stream, history = message.stream, message.history
  local top = tops[stream] or epoch_dash .. '0'
  local same_epoch = sub(top, 1, #epoch_dash) == epoch_dash
  local n = same_epoch and sub(top, #epoch_dash + 1) or match(top, '%-(%d+)$')
  local position = epoch_dash .. format('%d', n + 1)
  local entry = {'m', message.payload}
  if message.expires_at ~= '-' then
    entry[3], entry[4] = 'x', message.expires_at
  end
  if state ~= '-' then
    -- Which state it ends: whoever reads it here must not show a value that is still on its way on the bus.
    entry[#entry + 1] = 's'
    entry[#entry + 1] = state
  end
  if message.operation.trace then
    -- It is sampled: a node that has to read it here goes on with its trace.
    entry[#entry + 1] = 't'
    entry[#entry + 1] = message.operation.trace
  end
  if not same_epoch then
    -- The first of its epoch names the one before it: what came between, and was forgotten, is seen to be missing.
    entry[#entry + 1] = 'p'
    entry[#entry + 1] = top
  end
  call('XADD', history, 'MAXLEN', '~', ARGV[4], position, unpack(entry))
  -- At once: whatever stops us from here on, the number is used up.
  tops[stream] = position
  moved[#moved + 1] = message.stream
  moved[#moved + 1] = position
  call('PEXPIRE', history, ARGV[5])
  return position
end

-- Returns the status and the result.
local function publish(message)
  local operation, kind = message.operation, message.kind
  if operation.conflict then
    return 'conflict ', '- 0 \n'
  end
  local done = not operation.fresh and operation.done[message.name .. ':' .. message.stream]
  if done then
    -- The first call may have died before its publish was heard: say it again, receivers drop what they have.
    local position = match(done, '^[^ ]+')
    local kept = position ~= '-' and call('XRANGE', message.history, position, position)
    if kept and kept[1] then
      local ended, payload = kept_field(kept[1], 's') or '-', kept_field(kept[1], 'm')
      deliver(message, message.where, head_of('e', message, position, ended, payload), payload)
    end
    return 'again ', done
  end

  local state, position, places, online = '-', '-', '', false
  if kind ~= 'e' then
    local revision = put_state(message)
    state = revision and (message.video .. '@' .. revision) or '-'
    if kind == 's' and revision then
      local head = head_of('s', message, revision, state, message.payload)
      places, online = deliver(message, message.channel, head, message.payload)
    end
  end
  if kind ~= 's' then
    position = append(message, state)
    local head = head_of('e', message, position, state, message.payload)
    if archive_limit > 0 then
      local n = #to_archive
      to_archive[n + 1], to_archive[n + 2] = head, message.payload
    end
    places, online = deliver(message, message.where, head, message.payload)
  end
  local result = position .. (online and ' 1 ' or ' 0 ') .. places .. '\n'
  note(message, result)
  return (kind == 's' and state == '-') and 'older ' or 'new ', result
end

-- Whatever stops a message must not leave those before it half done: appended, and their numbers not counted.
local results = {}
local ok, failure = pcall(function()
  for i, message in ipairs(messages) do
    results[2 * i - 1], results[2 * i] = publish(message)
  end
end)
if #to_archive > 0 then
  moved[#moved + 1] = '#archive'
  moved[#moved + 1] = archive() or archive_top or '0-0'
end
if #moved > 0 then
  call('HSET', seq, unpack(moved))
end
for _, operation in pairs(operations) do
  if operation.changed then
    call('SET', operation.key, table.concat(operation.lines), 'PX', operation.ttl)
  end
end
for _, channel in ipairs(channels) do
  call('PUBLISH', channel, table.concat(parcels[channel]))
end
if not ok then
  return type(failure) == 'table' and failure or redis.error_reply(failure)
end
return table.concat(results)
