-- Take entries off the queue that are done with; those that cannot be published are kept aside with their reason.
--
-- Settling twice does no harm: what is not in the queue any more is not set aside again.
--
-- KEYS  queue:{c}, queue:{c}:dead
-- ARGV  1 the consumer group     2 entries that are kept aside, about     3 bytes kept of each value
--       4 fields kept of an entry     5 how many entries are done, followed by their ids
--       then four per entry to be set aside: id | reason | detail, JSON | the trace, or ""
--
-- Returns how many were set aside now. Aside, an entry has its own fields, and: `entry`, its id; `reason`; `detail`;
--   `trace`, if there is one; `cut`, its bytes, if it is not whole.

local queue, dead = KEYS[1], KEYS[2]
local group, dead_max, value_max, fields_max = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local function take_off(id)
  redis.call('XACK', queue, group, id)
  redis.call('XDEL', queue, id)
end

local function aside(own, id, reason, detail, trace)
  local fields, size, cut = {}, 0, #own > 2 * fields_max
  for i, text in ipairs(own) do
    size = size + #text
    if i <= 2 * fields_max then
      cut = cut or #text > value_max
      fields[#fields + 1] = string.sub(text, 1, value_max)
    end
  end
  local function tell(name, value)
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  tell('entry', id)
  tell('reason', reason)
  tell('detail', detail)
  if trace ~= '' then
    tell('trace', trace)
  end
  if cut then
    tell('cut', size)
  end
  redis.call('XADD', dead, 'MAXLEN', '~', dead_max, '*', unpack(fields))
end

local done = tonumber(ARGV[5])
for i = 6, 5 + done do
  take_off(ARGV[i])
end

local count = 0
for i = 6 + done, #ARGV, 4 do
  local entry = redis.call('XRANGE', queue, ARGV[i], ARGV[i])[1]
  if entry then
    aside(entry[2], ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
    count = count + 1
  end
  take_off(ARGV[i])
end
return count
