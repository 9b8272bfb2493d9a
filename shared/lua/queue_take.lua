-- Take the next entries of the queue, if it is the asker's turn to, and tell how the queue stands.
--
-- Reading is part of the step that proves the turn: a router that was paused in between must not take entries that come
-- after those which another one has taken meanwhile. Entries that were taken and not settled come first, in their order,
-- whoever took them: whoever has the turn now does what its predecessor left.
--
-- KEYS  queue:{c}, queue:{c}:turn, queue:{c}:dead
-- ARGV  1 who asks     2 for how long its turn is kept, ms; 0: it gives it back and takes nothing
--       3 the consumer group     4 the consumer     5 entries to take at most     6 bytes after which no more are added
--       7 bytes above which an entry comes without its fields     8 takings from which on an entry is taken alone
--       9 entries that the queue may have: beyond, the oldest are given up
--       10 for how long what was set aside is kept, ms
--       11 "1" if the asker has come through what stopped it: what is taken again is not counted as a taking
--
-- Returns {1 if it is its turn else 0, entries, how often the first of them was taken before, entries given up,
--   entries in the queue, those of them that are taken, id of the oldest or "", the newest id there ever was or ""};
--   an entry is {id, {field, value, …}, bytes}

local queue, turn, dead = KEYS[1], KEYS[2], KEYS[3]
local me, turn_ms, group, consumer = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local most, enough, too_large = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local alone, max_length, keep_ms, uncounted = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11] == '1'

local holder = redis.call('GET', turn)
local mine = turn_ms > 0 and (not holder or holder == me)
if turn_ms == 0 and holder == me then
  redis.call('PEXPIRE', turn, 0)
end

local head = redis.pcall('XPENDING', queue, group, '-', '+', 1)
if head.err then
  if not string.find(head.err, 'NOGROUP', 1, true) then
    return head
  end
  redis.call('XGROUP', 'CREATE', queue, group, '0', 'MKSTREAM')
  head = {}
end

local entries, bytes, before, given_up = {}, 0, 0, 0

local function add(entry)
  local size = 0
  for _, text in ipairs(entry[2]) do
    size = size + #text
  end
  bytes = bytes + size
  entries[#entries + 1] = {entry[1], size > too_large and {} or entry[2], size}
end

-- Entries that were taken before, from a cursor on; the next cursor.
local function take_again(cursor)
  if not uncounted then
    local claimed = redis.call('XAUTOCLAIM', queue, group, consumer, 0, cursor, 'COUNT', 1)
    for _, entry in ipairs(claimed[2]) do
      add(entry)
    end
    return claimed[1]
  end
  local claimed = redis.call('XAUTOCLAIM', queue, group, consumer, 0, cursor, 'COUNT', 1, 'JUSTID')  -- which counts not
  for _, id in ipairs(claimed[2]) do
    add(redis.call('XRANGE', queue, id, id)[1])
  end
  return claimed[1]
end

if mine then
  redis.call('SET', turn, me, 'PX', turn_ms)
  redis.pcall('XTRIM', dead, 'MINID', string.format('%d', redis.call('TIME')[1] * 1000 - keep_ms))
  if redis.call('XLEN', queue) > max_length then
    given_up = redis.call('XTRIM', queue, 'MAXLEN', '~', max_length)
  end
  if head[1] then
    before = head[1][4]
    if before >= alone then
      most = 1
    end
    local cursor = '0-0'
    repeat
      cursor = take_again(cursor)
    until cursor == '0-0' or #entries >= most or bytes >= enough
  end
  if #entries == 0 then
    before = 0
    while #entries < most and bytes < enough do
      local read = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', 1, 'STREAMS', queue, '>')
      if not read then
        break
      end
      add(read[1][2][1])
    end
  end
end

local newest = ''
if mine and #entries == 0 then
  local info = redis.call('XINFO', 'STREAM', queue)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      newest = info[i + 1]
    end
  end
end

local oldest = redis.call('XRANGE', queue, '-', '+', 'COUNT', 1)[1]
return {
  mine and 1 or 0, entries, before, given_up, redis.call('XLEN', queue), redis.call('XPENDING', queue, group)[1],
  oldest and oldest[1] or '', newest,
}
