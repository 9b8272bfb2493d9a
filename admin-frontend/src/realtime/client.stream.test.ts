import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Browser } from '../test/Browser';
import { jwt } from '../test/jwt';
import { StandInProxy, welcome } from '../test/StandInProxy';
import { until } from '../test/until';
import { EventStreamParser } from './eventStreamParser';
import type { RealtimeOptions } from './options';

let proxy: StandInProxy;
beforeEach(async () => {
  proxy = await StandInProxy.start();
});
afterEach(() => proxy.stop());

const event = (id: string): object => ({ type: 'custom', id });

/** A page whose sockets do not get through, at the moment when a stream has taken their place. */
async function onStream(options: Partial<RealtimeOptions> = {}): Promise<Browser> {
  const browser = new Browser(proxy.url, { streamAfter: 2, ...options });
  browser.client.connect();
  await browser.waitOut();
  await browser.becomes('waiting');
  browser.clock.advance(0);
  await browser.becomes('open');
  return browser;
}

/** Let time pass on a stream that shows now and then that it lives. */
async function pass(browser: Browser, ms: number): Promise<void> {
  const beats = (): number => browser.happened.messages.filter(({ type }) => type === 'beat').length;
  for (let left = ms; left > 0; left -= 10_000) {
    const heard = beats();
    proxy.last.send({ type: 'beat' });
    await until(() => beats() > heard);
    browser.clock.advance(Math.min(left, 10_000));
  }
}

const ids = (browser: Browser): unknown[] =>
  browser.happened.messages.filter(({ type }) => type === 'custom').map((message) => (message as { id?: string }).id);

describe('where sockets do not get through', () => {
  test('an event stream takes their place at once, with the token in no URL', async () => {
    const token = jwt();
    const browser = await onStream({ getToken: () => token });
    expect(proxy.upgrades).toBe(2);
    expect(proxy.last).toMatchObject({ path: '/api/v1/events/admin', token, since: null });
    expect(browser.client.snapshot).toMatchObject({ way: 'stream', userId: 1, attempt: 0 });
  });

  test('a user hears its own', async () => {
    await onStream({ isAdmin: false });
    expect(proxy.last.path).toBe('/api/v1/events');
  });

  test('none does if nobody wants it', async () => {
    const browser = new Browser(proxy.url, { streamAfter: Infinity, maxReconnectAttempts: 3 });
    browser.client.connect();
    for (let attempt = 0; attempt < 3; attempt += 1) await browser.waitOut();
    await browser.becomes('offline');
    expect(proxy.streams).toEqual([]);
  });

  test('messages come as by a socket, once each, and the next one goes on from them', async () => {
    const browser = await onStream();
    for (const id of ['admin.1-1', 'all.1-1', 'admin.1-1', 'admin.1-2']) proxy.last.send(event(id));
    await until(() => ids(browser).length === 3);
    expect(ids(browser)).toEqual(['admin.1-1', 'all.1-1', 'admin.1-2']);
    proxy.last.cut();
    await browser.waitOut();
    await browser.becomes('open');
    expect(proxy.last.since).toBe('admin.1-2,all.1-1');
    expect(browser.happened.lost).toBe(0);
  });

  test('a socket is tried again after a while, from the same place, and stays if it gets through', async () => {
    const browser = await onStream();
    proxy.last.send(event('admin.1-5'));
    await until(() => ids(browser).length === 1);
    proxy.passesSockets = true;
    const [stream] = proxy.streams;
    await pass(browser, 60_000);
    await until(() => browser.client.snapshot.way === 'socket' && browser.state === 'open');
    expect(proxy.sockets[0]?.since).toBe('admin.1-5,all.1-0');
    await until(() => stream?.isClosed === true);
    proxy.sockets[0]?.send(event('admin.1-5'));
    proxy.sockets[0]?.send(event('admin.1-6'));
    await until(() => ids(browser).length === 2);
    expect(ids(browser)).toEqual(['admin.1-5', 'admin.1-6']);
  });

  test('and if it does not, the stream is back at once, and lasts longer', async () => {
    const browser = await onStream();
    await pass(browser, 60_000);
    await browser.becomes('waiting');
    browser.clock.advance(0);
    await browser.becomes('open');
    expect(browser.client.snapshot.way).toBe('stream');
    const { upgrades } = proxy;
    await pass(browser, 119_000);
    expect(browser.state).toBe('open');
    expect(proxy.upgrades).toBe(upgrades);
    browser.clock.advance(1000);
    await until(() => proxy.upgrades === upgrades + 1);
  });

  test('where neither gets through, it is a socket that is tried next', async () => {
    proxy.welcomes = [(stream) => stream.cut()];
    const browser = new Browser(proxy.url, { streamAfter: 1, maxReconnectAttempts: 9 });
    browser.client.connect();
    await until(() => browser.state === 'waiting');
    browser.clock.advance(0);
    await until(() => proxy.streams.length === 1);
    proxy.passesSockets = true;
    await browser.waitOut();
    await browser.becomes('open');
    expect(browser.client.snapshot.way).toBe('socket');
  });
});

describe('a stream', () => {
  test('that the node ends is followed as a close frame is', async () => {
    const browser = await onStream();
    proxy.last.send({ type: 'reconnect', retry_after_ms: 1234 });
    proxy.last.close(1012, 'this node leaves');
    await browser.becomes('waiting');
    expect(browser.delay).toBe(1234);
    expect(browser.happened.closes.at(-1)).toEqual({ code: 1012, reason: 'this node leaves', willReconnect: true });
    await browser.waitOut();
    await browser.becomes('open');
    proxy.last.close(4403, 'user blocked');
    await browser.becomes('stopped');
  });

  test('whose token ended goes on with another', async () => {
    let n = 0;
    const browser = await onStream({
      getToken: () => jwt({ n }),
      refreshAccessToken: async () => jwt({ n: (n += 1) }),
    });
    browser.clock.advance(10_001);
    proxy.last.comment();
    proxy.last.close(4401, 'token expired');
    await browser.becomes('waiting');
    await browser.waitOut();
    await browser.becomes('open');
    expect(proxy.streams.map(({ token }) => token)).toEqual([jwt({ n: 0 }), jwt({ n: 1 })]);
  });

  test.each([
    [403, 4403, 'stopped'],
    [429, 4429, 'waiting'],
    [503, 1013, 'waiting'],
    [502, 1006, 'waiting'],
  ])('that is refused with %i is one that was closed with %i', async (status, code, state) => {
    proxy.welcomes = [(stream) => stream.refuse(status, 'because', { 'Retry-After': '60' })];
    const browser = new Browser(proxy.url, { streamAfter: 1 });
    browser.client.connect();
    await browser.waitOut();
    await until(() => proxy.streams.length === 1);
    await until(() => browser.happened.closes.length === 2);
    expect(browser.happened.closes.at(-1)).toMatchObject({ code, reason: 'because' });
    expect(browser.state).toBe(state);
    if (state === 'waiting') expect(browser.delay).toBe(60_000);
  });

  test('that is something else is none', async () => {
    proxy.welcomes = [(stream) => stream.refuse(200, 'a page that wants you to pay')];
    const browser = new Browser(proxy.url, { streamAfter: 1 });
    browser.client.connect();
    await browser.waitOut();
    await until(() => browser.happened.closes.at(-1)?.code === 1006 && proxy.streams.length === 1);
  });

  test('that falls silent is given up', async () => {
    const browser = await onStream();
    await pass(browser, 10_000);
    expect(browser.state).toBe('open');
    browser.clock.advance(40_000);
    expect(browser.happened.closes.at(-1)).toMatchObject({ code: 4408, reason: 'the node is silent' });
    await until(() => proxy.streams[0]?.isClosed === true);
  });

  test('that never says connected is given up', async () => {
    proxy.welcomes = [(stream) => stream.begin(), welcome];
    const browser = new Browser(proxy.url, { streamAfter: 1 });
    browser.client.connect();
    await browser.waitOut();
    await until(() => proxy.streams.length === 1);
    browser.clock.advance(15_000);
    await until(() => browser.happened.closes.length === 2);
    expect(browser.happened.closes.at(-1)?.reason).toBe('no connection within the deadline');
    await until(() => proxy.streams[0]?.isClosed === true);
  });

  test('answers what can be asked by HTTP, and says what cannot', async () => {
    const browser = await onStream();
    browser.client.send('get_stats');
    await until(() => browser.client.snapshot.stats?.total_users === 7);
    browser.client.send('dance');
    await until(() => browser.happened.errors.some(({ details }) => details.code === 'unknown_command'));
  });

  test('that is disconnected leaves neither an answer nor a timer', async () => {
    const browser = await onStream();
    browser.client.disconnect();
    await until(() => proxy.last.isClosed);
    expect(browser.clock.waiting).toBe(0);
    expect(browser.state).toBe('stopped');
  });
});

describe('the parser', () => {
  const text = 'retry: 1\r\nid: x\ndata: {"a":1}\n\n:\n\nevent: close\rdata:b\rdata: c\r\rdata\n\nevent: gone\n\n';
  const events = [
    { name: 'message', data: '{"a":1}' },
    { name: 'close', data: 'b\nc' },
    { name: 'message', data: '' },
  ];

  test.each([1, 2, 3, 7, 1000])('reads pieces of %i characters as the standard says', (size) => {
    const parser = new EventStreamParser();
    const heard = [];
    for (let at = 0; at < text.length; at += size) heard.push(...parser.push(text.slice(at, at + size)));
    expect(heard).toEqual(events);
  });
});
