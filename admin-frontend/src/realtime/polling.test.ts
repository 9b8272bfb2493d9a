import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Browser } from '../test/Browser';
import { jwt } from '../test/jwt';
import { StandInNode } from '../test/StandInNode';
import { settle, until } from '../test/until';
import type { RealtimeError } from './errors';
import { TranscodePolling } from './polling';
import { TranscodeStore } from './transcodes';

let node: StandInNode;
let server: Server;
let asked: IncomingMessage[];
let answer: (response: ServerResponse) => void;
let polling: TranscodePolling | null;

const state = (progress: number): object => ({
  type: 'transcode_progress',
  video_id: 123,
  status: 'processing',
  progress,
  message: '',
  timestamp: '2026-01-31T12:00:00Z',
});
const states =
  (...found: object[]) =>
  (response: ServerResponse): void =>
    void response.end(JSON.stringify({ transcodes: found }));

beforeEach(async () => {
  node = await StandInNode.start();
  asked = [];
  answer = states(state(45));
  server = createServer((request, response) => {
    asked.push(request);
    answer(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  polling?.stop();
  server.closeAllConnections();
  await Promise.all([node.stop(), new Promise((resolve) => server.close(resolve))]);
});

interface Polled {
  browser: Browser;
  store: TranscodeStore;
  polling: TranscodePolling;
  errors: RealtimeError[];
}

/** Poll the HTTP server; the socket's way is the other one. */
function poll(browser: Browser): Polled {
  const { client, clock, environment } = browser;
  const store = new TranscodeStore(clock);
  const { port } = server.address() as AddressInfo;
  const elsewhere: typeof fetch = (url, init) =>
    fetch((url as string).replace(/:\d+/, `:${port}`), { ...init, keepalive: false });
  polling = new TranscodePolling({ client, store, clock, environment, fetch: elsewhere });
  const errors: RealtimeError[] = [];
  polling.on('error', (error) => errors.push(error));
  polling.start();
  return { browser, store, polling, errors };
}

/** Wait for the n-th question and its answer: then the only timer is that of the next one. */
async function answered(n: number): Promise<void> {
  await until(() => asked.length === n, `question ${n}`);
  await until(() => polling?.isAsking === false, `the answer to question ${n}`);
}

test('down, it asks every five seconds, with the token, and shows what it is told', async () => {
  const polled = poll(new Browser(node.url));
  await until(() => polled.store.snapshot.get(123)?.progress === 45);
  expect(asked[0]?.url).toBe('/api/v1/transcodes');
  expect(asked[0]?.headers.authorization).toBe(`Bearer ${jwt()}`);
  await answered(1);
  answer = states(state(60));
  polled.browser.clock.advance(4999);
  await settle();
  expect(asked).toHaveLength(1);
  polled.browser.clock.advance(1);
  await until(() => polled.store.snapshot.get(123)?.progress === 60);
});

test('up, it asks every fifteen, and at once when the socket goes down', async () => {
  const browser = await new Browser(node.url).connect();
  poll(browser);
  await answered(1);
  browser.clock.advance(14_999);
  await settle();
  expect(asked).toHaveLength(1);
  browser.clock.advance(1);
  await answered(2);
  node.last.cut();
  await browser.becomes('waiting');
  await until(() => asked.length === 3);
});

test('a loss is made good at once', async () => {
  const browser = await new Browser(node.url).connect();
  poll(browser);
  await answered(1);
  node.last.send({ type: 'resync', cursor: 'admin.2-0' });
  await until(() => asked.length === 2);
});

test('while nobody looks, or there is no network, it rests; then it asks at once', async () => {
  const polled = poll(new Browser(node.url));
  await until(() => polled.store.snapshot.size === 1);
  for (const [gone, back] of [['hidden', 'visible'] as const, ['offline', 'online'] as const]) {
    const before = asked.length;
    await answered(before);
    polled.browser.environment.becomes(gone);
    polled.browser.clock.advance(60_000);
    polled.polling.pollNow();
    await settle();
    expect(asked).toHaveLength(before);
    polled.browser.environment.becomes(back);
    await until(() => asked.length === before + 1);
  }
});

test('an error is told, and asking goes on', async () => {
  answer = (response) => void response.writeHead(503).end();
  const polled = poll(new Browser(node.url));
  await until(() => polled.errors.length === 1);
  await until(() => !polled.polling.isAsking);
  expect(polled.errors).toMatchObject([{ kind: 'http' }]);
  answer = (response) => void response.end('{"transcodes":7}');
  polled.browser.clock.advance(5000);
  await until(() => polled.errors.length === 2);
  await until(() => !polled.polling.isAsking);
  answer = states({ type: 'transcode_progress', video_id: 'x' }, { type: 'shop.order' }, state(1));
  polled.browser.clock.advance(5000);
  await until(() => polled.store.snapshot.size === 1);
  expect(polled.errors).toHaveLength(2);
});

test('a token that is refused is not used again', async () => {
  const [stale, fresh] = [jwt({ n: 1 }), jwt({ n: 2 })];
  const options = { getToken: () => stale, refreshAccessToken: async () => fresh };
  answer = (response) => void response.writeHead(401).end();
  const polled = poll(new Browser(node.url, options));
  await until(() => polled.errors.length === 1);
  await until(() => !polled.polling.isAsking);
  answer = states(state(1));
  polled.browser.clock.advance(5000);
  await until(() => polled.store.snapshot.size === 1);
  expect(asked.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${stale}`, `Bearer ${fresh}`]);
});

test('an answer that does not come is given up, and asked for again', async () => {
  answer = () => undefined;
  const polled = poll(new Browser(node.url));
  await until(() => asked.length === 1);
  polled.browser.clock.advance(10_000);
  await until(() => polled.errors.length === 1);
  await until(() => !polled.polling.isAsking);
  answer = states(state(1));
  polled.browser.clock.advance(5000);
  await until(() => polled.store.snapshot.size === 1);
});

test('stopped, it asks no more, shows nothing more, and leaves no timer behind', async () => {
  let late: ServerResponse | null = null;
  answer = (response) => (late = response);
  const polled = poll(new Browser(node.url));
  await until(() => late !== null);
  polled.polling.stop();
  states(state(1))(late!);
  await settle();
  expect(polled.store.snapshot.size).toBe(0);
  expect(polled.errors).toEqual([]);
  expect(polled.browser.clock.waiting).toBe(0);
});
