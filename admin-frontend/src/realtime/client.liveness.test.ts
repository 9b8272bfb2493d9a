import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Browser } from '../test/Browser';
import { jwt } from '../test/jwt';
import { connected, StandInNode } from '../test/StandInNode';
import { settle, until } from '../test/until';

let node: StandInNode;
beforeEach(async () => {
  node = await StandInNode.start();
});
afterEach(() => node.stop());

const pings = (visit = node.last): number => visit.received.filter((text) => text === 'ping').length;

/** Wait until the client has read everything that it was sent. */
async function upToDate(browser: Browser): Promise<void> {
  const marker = `marker ${browser.happened.messages.length}`;
  node.last.send({ type: marker });
  await until(() => browser.happened.messages.some(({ type }) => type === marker));
}

describe('a heartbeat', () => {
  test('goes out as often as the node wants, and its answer keeps the connection', async () => {
    node.welcomes = [(visit) => visit.send(connected({ heartbeat_interval_ms: 20_000 }))];
    const browser = await new Browser(node.url, { heartbeatInterval: 1000 }).connect();
    for (let beat = 1; beat <= 3; beat += 1) {
      browser.clock.advance(20_000);
      await until(() => pings() === beat);
      await upToDate(browser);
    }
    browser.clock.advance(10_000);
    expect(browser.state).toBe('open');
    expect(node.visits).toHaveLength(1);
  });

  test('without an answer ends the connection at its deadline, and another one is opened at once', async () => {
    node.answersPings = false;
    const browser = await new Browser(node.url).connect();
    browser.clock.advance(30_000);
    await until(() => pings() === 1);
    browser.clock.advance(9999);
    await settle();
    expect(browser.state).toBe('open');
    browser.clock.advance(1);
    expect(browser.client.snapshot.lastClose?.code).toBe(4408);
    await browser.becomes('open');
    await until(() => node.visits[0]!.closedWith === 4408);
    expect(node.open).toBe(1);
  });

  test('is answered by any frame: a node that brings a slow client up to date reads nothing from it', async () => {
    node.answersPings = false;
    const browser = await new Browser(node.url).connect();
    browser.clock.advance(30_000);
    await until(() => pings() === 1);
    await upToDate(browser);
    browser.clock.advance(15_000);
    expect(browser.state).toBe('open');
  });

  test('whose deadline passed while the page slept is asked again before anything is concluded', async () => {
    const browser = await new Browser(node.url).connect();
    browser.clock.advance(30_000);
    browser.clock.sleep(3_600_000);
    expect(browser.state).toBe('open');
    await until(() => pings() >= 2);
    await upToDate(browser);
    browser.clock.advance(10_000);
    expect(browser.state).toBe('open');
  });

  test('is not asked again for ever: timers of a hidden page are always late', async () => {
    node.answersPings = false;
    const browser = await new Browser(node.url).connect();
    browser.clock.advance(30_000);
    browser.clock.sleep(60_000);
    expect(browser.state).toBe('open');
    browser.clock.sleep(60_000);
    expect(browser.client.snapshot.lastClose?.code).toBe(4408);
  });
});

describe('the network', () => {
  test('absent from the start: nothing is tried until it is there', async () => {
    const browser = new Browser(node.url);
    browser.environment.online = false;
    browser.client.connect();
    await settle();
    expect(browser.state).toBe('paused');
    browser.environment.becomes('online');
    await browser.becomes('open');
    expect(node.visits).toHaveLength(1);
  });

  test('gone takes the connection with it after a short probe, and no attempt is made', async () => {
    const browser = await new Browser(node.url).connect();
    node.answersPings = false;
    browser.environment.becomes('offline');
    await until(() => pings() === 1);
    browser.clock.advance(5000);
    expect(browser.state).toBe('paused');
    browser.clock.advance(3_600_000);
    await settle();
    expect(node.visits).toHaveLength(1);
    browser.environment.becomes('online');
    await browser.becomes('open');
    expect(node.last.since).toBe('admin.1-0,all.1-0');
  });

  test('gone only in the eyes of the browser does not end a connection that answers', async () => {
    const browser = await new Browser(node.url).connect();
    browser.environment.becomes('offline');
    await until(() => pings() === 1);
    await upToDate(browser);
    browser.clock.advance(5000);
    expect(browser.state).toBe('open');
  });

  test('gone while the client waits stops the wait; back again, it is tried at once', async () => {
    const browser = await new Browser(node.url).connect();
    node.last.cut();
    await browser.becomes('waiting');
    browser.environment.becomes('offline');
    expect(browser.state).toBe('paused');
    browser.clock.advance(3_600_000);
    await settle();
    expect(node.visits).toHaveLength(1);
    browser.environment.becomes('online');
    await browser.becomes('open');
  });

  test('and the page that somebody looks at again cut a back-off short', async () => {
    for (const event of ['online', 'visible'] as const) {
      const browser = await new Browser(node.url).connect();
      node.last.cut();
      await browser.becomes('waiting');
      browser.environment.becomes(event);
      await browser.becomes('open');
      browser.client.disconnect();
    }
  });

  test('back, or the page looked at again, wakes a client that had given up', async () => {
    const { port } = node;
    const browser = await new Browser(node.url, { maxReconnectAttempts: 0 }).connect();
    await node.stop();
    await browser.becomes('offline');
    node = await StandInNode.start(port);
    browser.environment.becomes('hidden');
    await settle();
    expect(browser.state).toBe('offline');
    browser.environment.becomes('visible');
    await browser.becomes('open');
  });

  test('changed under an open connection has it probed: a dead one is found out in seconds', async () => {
    const browser = await new Browser(node.url).connect();
    node.answersPings = false;
    browser.environment.becomes('online');
    browser.clock.advance(5000);
    expect(browser.client.snapshot.lastClose?.code).toBe(4408);
  });
});

describe('a token that is about to expire', () => {
  const NOW = Date.parse('2026-01-31T12:00:00Z') / 1000;
  const first = jwt({ exp: NOW + 600, n: 1 });
  const second = jwt({ exp: NOW + 1200, n: 2 });
  const refreshes = (): unknown[] =>
    node.last.received.filter((text) => text !== 'ping').map((text): unknown => JSON.parse(text));

  test('is replaced over the open connection a minute before', async () => {
    const options = { getToken: () => first, refreshAccessToken: async () => second };
    const browser = await new Browser(node.url, options).connect();
    await passing(browser, 539_000);
    expect(refreshes()).toEqual([]);
    await passing(browser, 1000);
    await until(() => refreshes().length === 1);
    expect(refreshes()).toEqual([{ type: 'refresh', token: second }]);
    node.last.send({ type: 'refreshed', exp: NOW + 1200 });
    await upToDate(browser);
    await passing(browser, 599_000);
    expect(refreshes()).toHaveLength(1);
    expect(node.visits).toHaveLength(1);
    expect(browser.happened.errors).toEqual([]);
  });

  test('is asked for again by the same page when the next one ends', async () => {
    let n = 1;
    const refreshAccessToken = async (): Promise<string> => jwt({ exp: NOW + 600 * (n += 1), n });
    const browser = await new Browser(node.url, { getToken: () => first, refreshAccessToken }).connect();
    for (let round = 1; round <= 3; round += 1) {
      await passing(browser, 540_000 + (round > 1 ? 60_000 : 0));
      await until(() => refreshes().length === round);
      node.last.send({ type: 'refreshed', exp: NOW + 600 * (round + 1) });
      await upToDate(browser);
    }
    expect(node.visits).toHaveLength(1);
  });

  test('is taken from the store when the app renews it by itself', async () => {
    let stored = first;
    const browser = await new Browser(node.url, { getToken: () => stored }).connect();
    stored = second;
    await passing(browser, 540_000);
    await until(() => refreshes().length === 1);
    expect(refreshes()).toEqual([{ type: 'refresh', token: second }]);
  });

  test('and whose successor the node refuses is tried again before the end', async () => {
    let n = 1;
    const refreshAccessToken = async (): Promise<string> => jwt({ exp: NOW + 1200, n: (n += 1) });
    const browser = await new Browser(node.url, { getToken: () => first, refreshAccessToken }).connect();
    await passing(browser, 540_000);
    await until(() => refreshes().length === 1);
    node.last.send({ type: 'error', code: 'invalid_token' });
    await upToDate(browser);
    expect(browser.happened.errors).toMatchObject([{ kind: 'refused', details: { code: 'invalid_token' } }]);
    await passing(browser, 48_000);
    await until(() => refreshes().length === 2);
    expect(browser.state).toBe('open');
  });

  test('is not replaced by one that the node has refused already', async () => {
    const options = { getToken: () => first, refreshAccessToken: async () => second };
    const browser = await new Browser(node.url, options).connect();
    await passing(browser, 540_000);
    await until(() => refreshes().length === 1);
    node.last.send({ type: 'error', code: 'invalid_token' });
    await upToDate(browser);
    await passing(browser, 59_000);
    expect(refreshes()).toHaveLength(1);
  });

  test('and whose provider fails is tried again before the end, a few times and no more', async () => {
    let asked = 0;
    const refreshAccessToken = async (): Promise<string> => {
      asked += 1;
      throw new Error('no network');
    };
    const browser = await new Browser(node.url, { getToken: () => first, refreshAccessToken }).connect();
    await passing(browser, 700_000);
    expect(asked).toBeGreaterThan(1);
    expect(asked).toBeLessThan(6);
    expect(browser.happened.errors.map(({ kind }) => kind)).toEqual(Array(asked).fill('token'));
    expect(browser.state).toBe('open');
  });

  /** Let time pass as it does: heartbeats are answered in between. */
  async function passing(browser: Browser, ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 5000) {
      browser.clock.advance(Math.min(5000, left));
      await upToDate(browser);
    }
  }
});
