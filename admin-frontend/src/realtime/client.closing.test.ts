import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Browser } from '../test/Browser';
import { jwt } from '../test/jwt';
import { connected, StandInNode, type Visit } from '../test/StandInNode';
import { settle, until } from '../test/until';
import { CloseCode } from './closeCodes';

let node: StandInNode;
beforeEach(async () => {
  node = await StandInNode.start();
});
afterEach(() => node.stop());

const closeWith =
  (code: number, retryAfter?: number) =>
  (visit: Visit): void => {
    if (retryAfter !== undefined) visit.send({ type: 'reconnect', retry_after_ms: retryAfter });
    visit.close(code, 'because');
  };

describe('each close code has its consequence', () => {
  const stops = [1002, 1003, 1007, 1009, CloseCode.FORBIDDEN];
  test.each(stops)('%i: the client stops and stays stopped', async (code) => {
    const browser = await new Browser(node.url).connect();
    node.last.close(code, 'because');
    await browser.becomes('stopped');
    browser.environment.becomes('online');
    browser.environment.becomes('visible');
    browser.clock.advance(3_600_000);
    await settle();
    expect(browser.state).toBe('stopped');
    expect(browser.client.snapshot.lastClose).toEqual({ code, reason: 'because' });
    expect(browser.happened.closes).toEqual([{ code, reason: 'because', willReconnect: false }]);
    expect(node.visits).toHaveLength(1);
  });

  test('1012: it reconnects after the time it was told, not sooner', async () => {
    const browser = await new Browser(node.url).connect();
    closeWith(CloseCode.SERVICE_RESTART, 1234)(node.last);
    await browser.becomes('waiting');
    expect(browser.delay).toBe(1234);
    browser.environment.becomes('visible');
    browser.environment.becomes('online');
    browser.clock.advance(1233);
    await settle();
    expect(node.visits).toHaveLength(1);
    browser.clock.advance(1);
    await browser.becomes('open');
    expect(browser.happened.closes).toEqual([{ code: 1012, reason: 'because', willReconnect: true }]);
  });

  test('1012 at every node of a long roll-out uses up no attempts', async () => {
    const browser = await new Browser(node.url, { maxReconnectAttempts: 1 }).connect();
    for (let moved = 0; moved < 4; moved += 1) {
      closeWith(CloseCode.SERVICE_RESTART, 500)(node.last);
      await browser.waitOut();
      await browser.becomes('open');
    }
    expect(node.visits).toHaveLength(5);
  });

  test.each([CloseCode.TRY_AGAIN_LATER, CloseCode.TOO_MANY])(
    '%i: it backs off, and cannot be hurried',
    async (code) => {
      const browser = await new Browser(node.url).connect();
      node.last.close(code);
      await browser.becomes('waiting');
      expect(browser.delay).toBe(3000);
      browser.environment.becomes('visible');
      await settle();
      expect(browser.state).toBe('waiting');
      browser.clock.advance(3000);
      await browser.becomes('open');
    },
  );

  test('1013 with a time: the longer of that and the back-off', async () => {
    const browser = await new Browser(node.url).connect();
    closeWith(CloseCode.TRY_AGAIN_LATER, 4500)(node.last);
    await browser.becomes('waiting');
    expect(browser.delay).toBe(4500);
  });

  test('4408: it reconnects at once', async () => {
    const browser = await new Browser(node.url).connect();
    node.last.close(CloseCode.NO_HEARTBEAT);
    await until(() => browser.happened.closes.length === 1);
    expect(browser.delay).toBe(0);
    browser.clock.advance(0);
    await browser.becomes('open');
    expect(node.visits).toHaveLength(2);
  });

  test('4408 before it was let in: with back-off, or it would spin', async () => {
    node.welcomes = [closeWith(CloseCode.NO_HEARTBEAT)];
    const browser = new Browser(node.url);
    browser.client.connect();
    await browser.becomes('waiting');
    expect(browser.delay).toBe(3000);
  });

  test.each([1000, 1001, 1011, 4999])('%i, which no node of ours chooses: with back-off', async (code) => {
    const browser = await new Browser(node.url).connect();
    node.last.close(code);
    await browser.becomes('waiting');
    expect(browser.delay).toBe(3000);
  });
});

describe('a token that is refused (4401)', () => {
  test('is replaced, and the fresh one connects at once', async () => {
    const [stale, fresh] = [jwt({ n: 1 }), jwt({ n: 2 })];
    node.welcomes = [closeWith(CloseCode.UNAUTHENTICATED), (visit) => visit.send(connected())];
    const browser = new Browser(node.url, { getToken: () => stale, refreshAccessToken: async () => fresh });
    browser.client.connect();
    await browser.waitOut();
    await browser.becomes('open');
    expect(node.visits.map((visit) => visit.token)).toEqual([stale, fresh]);
    expect(browser.client.snapshot.stats).not.toBeNull();
  });

  test('again and again: the client stops after the second fresh one, and does not loop', async () => {
    node.welcomes = [closeWith(CloseCode.UNAUTHENTICATED)];
    let refreshed = 0;
    const browser = new Browser(node.url, { refreshAccessToken: async () => jwt({ n: (refreshed += 1) }) });
    browser.client.connect();
    await browser.waitOut();
    await browser.waitOut();
    await browser.becomes('stopped');
    expect(refreshed).toBe(2);
    expect(node.visits).toHaveLength(3);
    expect(browser.client.snapshot.lastClose?.code).toBe(CloseCode.UNAUTHENTICATED);
  });

  test('and cannot be replaced: it is not offered again', async () => {
    node.welcomes = [closeWith(CloseCode.UNAUTHENTICATED)];
    const browser = new Browser(node.url);
    browser.client.connect();
    await browser.waitOut();
    await browser.waitOut();
    await browser.becomes('stopped');
    expect(node.visits).toHaveLength(1);
    expect(browser.happened.errors.map((error) => error.details.code)).toEqual(['no_token', 'no_token']);
  });

  test('right after the connection was let in counts too: a node with another clock must not make it spin', async () => {
    node.welcomes = [
      (visit) => {
        visit.send(connected());
        visit.close(CloseCode.UNAUTHENTICATED);
      },
    ];
    let n = 0;
    const browser = new Browser(node.url, { refreshAccessToken: async () => jwt({ n: (n += 1) }) });
    browser.client.connect();
    await browser.waitOut();
    await browser.waitOut();
    await browser.becomes('stopped');
    expect(node.visits).toHaveLength(3);
  });

  test('after a long good connection is a new story', async () => {
    let n = 0;
    const browser = await new Browser(node.url, { refreshAccessToken: async () => jwt({ n: (n += 1) }) }).connect();
    for (let day = 0; day < 5; day += 1) {
      browser.clock.advance(11_000);
      node.last.close(CloseCode.UNAUTHENTICATED);
      await browser.waitOut();
      await browser.becomes('open');
    }
    expect(node.visits).toHaveLength(6);
  });

  test('by somebody who logs in anew: connect() begins again', async () => {
    let token: string | null = null;
    const browser = new Browser(node.url, { getToken: () => token });
    browser.client.connect();
    await browser.waitOut();
    await browser.waitOut();
    await browser.becomes('stopped');
    token = jwt();
    await browser.connect();
    expect(node.visits).toHaveLength(1);
  });
});

describe('a way that is broken', () => {
  test('is tried with growing waits, and then given up where one can see it', async () => {
    const browser = await new Browser(node.url).connect();
    await node.stop();
    const delays: (number | null)[] = [];
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      await browser.becomes('waiting');
      expect(browser.client.snapshot.attempt).toBe(attempt);
      delays.push(browser.delay);
      await browser.waitOut();
    }
    await browser.becomes('offline');
    expect(delays).toEqual([3000, 6000, 12_000, 24_000, 30_000]);
    expect(browser.client.snapshot.nextAttemptAt).toBeNull();
    expect(browser.happened.closes.at(-1)).toMatchObject({ code: 1006, willReconnect: false });
    browser.clock.advance(3_600_000);
    await settle();
    expect(browser.state).toBe('offline');
    expect(browser.client.send('get_stats')).toBe(false);
  });

  test('given up, retry() has all attempts again', async () => {
    const { port } = node;
    const browser = await new Browser(node.url, { maxReconnectAttempts: 1 }).connect();
    await node.stop();
    await browser.waitOut();
    await browser.becomes('offline');
    node = await StandInNode.start(port);
    browser.client.retry();
    await browser.becomes('open');
    expect(browser.client.snapshot.attempt).toBe(0);
  });

  test('with Infinity it is never given up, and the wait stays bounded', async () => {
    const browser = await new Browser(node.url, { maxReconnectAttempts: Infinity }).connect();
    await node.stop();
    for (let attempt = 0; attempt < 12; attempt += 1) await browser.waitOut();
    await browser.becomes('waiting');
    expect(browser.delay).toBe(30_000);
  });

  test('a connection that breaks right after it was let in, again and again, is given up as well', async () => {
    const browser = new Browser(node.url, { maxReconnectAttempts: 2 });
    node.welcomes = [
      (visit) => {
        visit.send(connected());
        visit.close(1011);
      },
    ];
    browser.client.connect();
    await browser.waitOut();
    await browser.waitOut();
    await browser.becomes('offline');
    expect(node.visits).toHaveLength(3);
  });

  test('without autoReconnect it is given up at once', async () => {
    const browser = await new Browser(node.url, { autoReconnect: false }).connect();
    node.last.cut();
    await browser.becomes('offline');
    browser.environment.becomes('visible');
    await settle();
    expect(browser.state).toBe('offline');
  });

  test('a node that accepts and says nothing is given up after the deadline', async () => {
    node.welcomes = [() => undefined];
    const browser = new Browser(node.url);
    browser.client.connect();
    await until(() => node.visits.length === 1);
    browser.clock.advance(15_000);
    await browser.becomes('waiting');
    await until(() => node.open === 0);
    expect(browser.client.snapshot.lastClose?.code).toBe(1006);
  });
});
