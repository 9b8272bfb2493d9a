import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Browser } from '../test/Browser';
import { jwt } from '../test/jwt';
import { connected, STATS, StandInNode } from '../test/StandInNode';
import { settle, until } from '../test/until';

let node: StandInNode;
beforeEach(async () => {
  node = await StandInNode.start();
});
afterEach(() => node.stop());

const system = (id: string, more: object = {}): object => ({
  type: 'system_message',
  message: '系统将于10分钟后维护',
  level: 'warning',
  timestamp: '2026-01-31T12:00:00Z',
  id,
  ...more,
});
const progress = { type: 'transcode_progress', video_id: 123, status: 'processing', progress: 45, message: '' };

describe('a client that connects', () => {
  test.each([
    [true, '/api/v1/ws/admin'],
    [false, '/api/v1/ws'],
  ])('as an admin (%s) goes to %s, with its token in no URL', async (isAdmin, path) => {
    const token = jwt();
    const browser = await new Browser(node.url, { isAdmin, getToken: () => token }).connect();
    expect(node.last).toMatchObject({ path, token, since: null });
    expect(browser.happened.states).toEqual(['connecting', 'open']);
  });

  test('is open when the node says so, and knows what it said', async () => {
    node.welcomes = [() => undefined];
    const browser = new Browser(node.url);
    browser.client.connect();
    await until(() => node.visits.length === 1);
    await settle();
    expect(browser.state).toBe('connecting');
    node.last.send(connected({ admin_id: '7', recovered: null }));
    await browser.becomes('open');
    expect(browser.client.snapshot).toMatchObject({ stats: STATS, userId: '7', recovered: null, attempt: 0 });
  });

  test('twice has one socket, and disconnected leaves none, nor a timer, nor a listener', async () => {
    const browser = await new Browser(node.url).connect();
    browser.client.connect();
    browser.client.retry();
    await settle();
    expect(node.visits).toHaveLength(1);
    browser.client.disconnect();
    browser.client.disconnect();
    await until(() => node.last.closedWith === 1000);
    expect(browser.state).toBe('stopped');
    expect(browser.clock.waiting).toBe(0);
    expect(browser.environment.listeners).toBe(0);
    expect(browser.happened.closes).toEqual([{ code: 1000, reason: 'disconnected by the page', willReconnect: false }]);
  });

  test('and is told to stop and to connect again at once (StrictMode) opens exactly one socket', async () => {
    const browser = new Browser(node.url);
    browser.client.connect();
    browser.client.disconnect();
    browser.client.connect();
    await browser.becomes('open');
    await settle();
    expect(node.visits).toHaveLength(1);
    expect(node.open).toBe(1);
  });

  test('and is stopped while the handshake is under way leaves no socket behind', async () => {
    node.welcomes = [() => undefined];
    const browser = new Browser(node.url);
    browser.client.connect();
    await until(() => node.open === 1);
    browser.client.disconnect();
    await until(() => node.open === 0);
    expect(browser.clock.waiting).toBe(0);
  });

  test('may be stopped by whoever hears of the end', async () => {
    const browser = await new Browser(node.url).connect();
    browser.client.on('disconnected', () => browser.client.disconnect());
    node.last.cut();
    await browser.becomes('stopped');
    browser.clock.advance(3_600_000);
    await settle();
    expect(node.visits).toHaveLength(1);
  });

  test('may be stopped by whoever sees its state change', async () => {
    const browser = await new Browser(node.url).connect();
    browser.client.subscribe(() => {
      if (browser.state === 'waiting') browser.client.disconnect();
    });
    node.last.cut();
    await browser.becomes('stopped');
    browser.clock.advance(3_600_000);
    await settle();
    expect(node.visits).toHaveLength(1);
  });
});

describe('its token', () => {
  test('is asked for before every attempt', async () => {
    let n = 0;
    const browser = await new Browser(node.url, { getToken: () => jwt({ n: (n += 1) }) }).connect();
    node.last.cut();
    await browser.waitOut();
    await browser.becomes('open');
    expect(node.visits.map((visit) => visit.token)).toEqual([jwt({ n: 1 }), jwt({ n: 2 })]);
  });

  test('expired is replaced before it is offered', async () => {
    const now = Date.parse('2026-01-31T12:00:00Z') / 1000;
    const [expired, fresh] = [jwt({ exp: now - 1 }), jwt({ exp: now + 3600 })];
    await new Browser(node.url, { getToken: () => expired, refreshAccessToken: async () => fresh }).connect();
    expect(node.visits.map((visit) => visit.token)).toEqual([fresh]);
  });

  test('is used as it is by a page whose clock is ahead, for which even a fresh one looks expired', async () => {
    const long_ago = jwt({ exp: 1_000_000 });
    const browser = await new Browser(node.url, {
      getToken: () => null,
      refreshAccessToken: async () => long_ago,
    }).connect();
    browser.clock.advance(25_000);
    await settle();
    expect(node.visits).toHaveLength(1);
    expect(node.last.received).toEqual([]);
  });

  test('may take its time, but not for ever', async () => {
    const browser = new Browser(node.url, { getToken: () => new Promise(() => undefined) });
    browser.client.connect();
    browser.clock.advance(15_000);
    await browser.becomes('waiting');
    expect(browser.happened.errors).toMatchObject([{ kind: 'token' }]);
  });

  test('that cannot be had just now is asked for again, with back-off', async () => {
    let isDown = true;
    const getToken = async (): Promise<string> => {
      if (isDown) throw new Error('no network');
      return jwt();
    };
    const browser = new Browser(node.url, { getToken });
    browser.client.connect();
    await browser.becomes('waiting');
    expect(browser.happened.errors).toMatchObject([{ kind: 'token', details: { code: 'provider_failed' } }]);
    isDown = false;
    await browser.waitOut();
    await browser.becomes('open');
  });

  test('that no protocol header can hold is an error, and no crash', async () => {
    const browser = new Browser(node.url, { getToken: () => 'not a token' });
    browser.client.connect();
    await browser.becomes('waiting');
    expect(browser.happened.errors).toMatchObject([{ kind: 'socket' }]);
  });
});

describe('a client that comes back', () => {
  test('names the last id of every stream', async () => {
    const browser = await new Browser(node.url).connect();
    node.last.send(system('admin.1-5'));
    node.last.send(progress);
    node.last.send(system('all.1-2'));
    node.last.send(system('admin.1-10'));
    await until(() => browser.happened.messages.length >= 3);
    node.last.cut();
    await browser.waitOut();
    await browser.becomes('open');
    expect(node.last.since).toBe('admin.1-10,all.1-2');
  });

  test('names the cursors of streams in which nothing came', async () => {
    const browser = await new Browser(node.url).connect();
    node.last.cut();
    await browser.waitOut();
    await browser.becomes('open');
    expect(node.last.since).toBe('admin.1-0,all.1-0');
  });

  test('sees what it was sent twice once', async () => {
    const browser = await new Browser(node.url).connect();
    for (const id of ['admin.1-1', 'admin.1-2', 'admin.1-1', 'admin.1-2', 'all.1-1', 'all.1-1', 'admin.2-1']) {
      node.last.send(system(id));
    }
    await until(() => browser.happened.messages.length >= 5);
    await settle();
    const ids = browser.happened.messages.slice(1).map((message) => (message as { id?: string }).id);
    expect(ids).toEqual(['admin.1-1', 'admin.1-2', 'all.1-1', 'admin.2-1']);
  });

  test('is told when not everything came, and goes on from where the node says', async () => {
    const browser = await new Browser(node.url).connect();
    node.welcomes = [(visit) => visit.send(connected({ recovered: false, cursor: 'admin.7-3,all.7-0' }))];
    node.last.cut();
    await browser.waitOut();
    await browser.becomes('open');
    expect(browser.happened.lost).toBe(1);
    expect(browser.client.snapshot.recovered).toBe(false);
    node.last.cut();
    await browser.waitOut();
    await browser.becomes('open');
    expect(node.last.since).toBe('admin.7-3,all.7-0');
  });

  test('is not told so when everything came', async () => {
    const browser = await new Browser(node.url).connect();
    node.welcomes = [(visit) => visit.send(connected({ recovered: true }))];
    node.last.cut();
    await browser.waitOut();
    await browser.becomes('open');
    expect(browser.client.snapshot.recovered).toBe(true);
    expect(browser.happened.lost).toBe(0);
  });

  test('a resync while connected moves one stream, and is a loss', async () => {
    const browser = await new Browser(node.url).connect();
    node.last.send({ type: 'resync', cursor: 'admin.9-4' });
    await until(() => browser.happened.lost === 1);
    node.last.cut();
    await browser.waitOut();
    await browser.becomes('open');
    expect(node.last.since).toBe('admin.9-4,all.1-0');
  });

  test('after a reload goes on where the page was; another person does not', async () => {
    const kept = new Map<string, string>();
    const cursorStorage = {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value),
    };
    const before = await new Browser(node.url, { cursorStorage }).connect();
    node.last.send(system('admin.1-5'));
    await until(() => before.happened.messages.length === 2);
    before.client.disconnect();
    await new Browser(node.url, { cursorStorage }).connect();
    expect(node.last.since).toBe('admin.1-5,all.1-0');
    await new Browser(node.url, { cursorStorage, getToken: () => jwt({ sub: '2' }) }).connect();
    expect(node.last.since).toBeNull();
  });

  test('has seen an event by the time that it is remembered as seen', async () => {
    const order: string[] = [];
    const cursorStorage = { getItem: () => null, setItem: (_: string, value: string) => order.push(value) };
    const browser = await new Browser(node.url, { cursorStorage }).connect();
    browser.client.on('systemMessage', ({ id }) => order.push(`heard ${id}`));
    node.last.send(system('admin.1-5'));
    await until(() => order.length === 3);
    expect(order).toEqual(['admin.1-0,all.1-0', 'heard admin.1-5', 'admin.1-5,all.1-0']);
  });
});

describe('frames', () => {
  test('of each type reach their listener', async () => {
    const browser = await new Browser(node.url).connect();
    const heard: string[] = [];
    browser.client.on('transcodeProgress', (m) => heard.push(`${m.type} ${m.progress}`));
    browser.client.on('transcodeComplete', (m) => heard.push(`${m.type} ${m.file_size}`));
    browser.client.on('transcodeFailed', (m) => heard.push(`${m.type} ${m.error}`));
    browser.client.on('systemMessage', (m) => heard.push(`${m.type} ${m.message}`));
    const timestamp = '2026-01-31T12:00:00Z';
    node.last.send({ ...progress, timestamp });
    const complete = { type: 'transcode_complete', video_id: 1, title: '示例视频', format_type: 'av1', file_size: 9 };
    node.last.send({ ...complete, timestamp, id: 'admin.1-1' });
    node.last.send({ type: 'transcode_failed', video_id: 1, title: '', error: 'FFmpeg', timestamp, id: 'admin.1-2' });
    node.last.send(system('admin.1-3'));
    await until(() => heard.length === 4);
    expect(heard).toEqual([
      'transcode_progress 45',
      'transcode_complete 9',
      'transcode_failed FFmpeg',
      'system_message 系统将于10分钟后维护',
    ]);
  });

  test('of unknown types, and with fields of a newer node, are messages', async () => {
    const browser = await new Browser(node.url).connect();
    const custom = { type: 'shop.order', order: { n: 7 }, id: 'all.1-1' };
    node.last.send(custom);
    node.last.send(system('all.1-2', { colour: 'red' }));
    await until(() => browser.happened.messages.length === 3);
    expect(browser.happened.messages[1]).toEqual(custom);
    expect(browser.happened.errors).toEqual([]);
  });

  test.each([
    ['{"type":"system_mess', 'json'],
    ['ping', 'json'],
    ['[1]', 'frame'],
    ['{"message":"no type"}', 'frame'],
    ['null', 'frame'],
    [JSON.stringify({ ...progress, timestamp: 'x', progress: 101 }), 'frame'],
    [JSON.stringify({ ...progress, timestamp: 'x', video_id: 1.5 }), 'frame'],
    [JSON.stringify(progress), 'frame'],
    [JSON.stringify(system('admin.1-1', { level: 'loud' })), 'frame'],
    [JSON.stringify(connected({ connection_stats: { total_users: -1 } })), 'frame'],
  ])('such as %s are errors, and the connection goes on', async (text, kind) => {
    const browser = await new Browser(node.url).connect();
    node.last.send(text);
    node.last.send(system('admin.1-2'));
    await until(() => browser.happened.messages.length === 2);
    expect(browser.happened.errors).toMatchObject([{ kind }]);
    expect(browser.state).toBe('open');
  });

  test('that are binary are errors', async () => {
    const browser = await new Browser(node.url).connect();
    node.last.socket.send(Buffer.from([1, 2, 3]));
    await until(() => browser.happened.errors.length === 1);
    expect(browser.happened.errors).toMatchObject([{ kind: 'json' }]);
  });

  test('with new counters change the snapshot, which is another object then', async () => {
    const browser = await new Browser(node.url).connect();
    const before = browser.client.snapshot;
    node.last.send({ type: 'stats', ...STATS, total_users: 50 });
    await until(() => browser.client.snapshot !== before);
    expect(browser.client.snapshot.stats).toEqual({ ...STATS, total_users: 50 });
  });
});

describe('commands', () => {
  test('wait for a connection, in order, each of them once', async () => {
    node.welcomes = [() => undefined];
    const browser = new Browser(node.url);
    expect(browser.client.send('get_stats')).toBe(false);
    browser.client.connect();
    for (const command of ['get_stats', 'a', 'get_stats', 'b']) expect(browser.client.send(command)).toBe(true);
    await until(() => node.visits.length === 1);
    await settle();
    expect(node.last.received).toEqual([]);
    node.last.send(connected());
    await until(() => node.last.received.length >= 3);
    expect(node.last.received).toEqual(['get_stats', 'a', 'b']);
  });

  test('are refused when the queue is full', async () => {
    const browser = new Browser(node.url, { sendQueueLimit: 2 });
    browser.client.connect();
    expect(['a', 'b', 'c'].map((command) => browser.client.send(command))).toEqual([true, true, false]);
  });

  test('are sent no faster than a node allows', async () => {
    const browser = await new Browser(node.url).connect();
    for (let n = 0; n < 20; n += 1) expect(browser.client.send(`command ${n}`)).toBe(true);
    await until(() => node.last.received.length === 8);
    await settle();
    expect(node.last.received).toHaveLength(8);
    browser.clock.advance(1000);
    await until(() => node.last.received.length === 16);
    browser.clock.advance(1000);
    await until(() => node.last.received.length === 20);
  });

  test('larger than a node takes are refused here, or it would end the connection', async () => {
    const browser = await new Browser(node.url).connect();
    expect(browser.client.send('界'.repeat(1366))).toBe(false);
    expect(browser.happened.errors).toMatchObject([{ kind: 'command' }]);
  });

  test('that a node does not know are told as errors', async () => {
    const browser = await new Browser(node.url).connect();
    node.last.send({ type: 'error', code: 'unknown_command' });
    await until(() => browser.happened.errors.length === 1);
    expect(browser.happened.errors[0]).toMatchObject({ kind: 'refused', details: { code: 'unknown_command' } });
  });
});
