import { once } from 'node:events';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

import { type Page } from '@playwright/test';
import { WebSocket } from 'ws';

import type * as Core from '../src/realtime';
import { expect, test } from './test';

// s; renewed when a fifth of it is left. A page has to be open by then, on a machine that others use, too.
const SHORT = 25;

test.describe.configure({ mode: 'parallel' }); // each waits for the end of a token
test.use({ tokenMayEnd: true });

declare global {
  var issueToken: () => Promise<string | null>;
}

test('a token that is replaced in time is renewed on the open connection', async ({ cluster, open }) => {
  const sub = String(cluster.number());
  const expiring = { sub, exp: inSeconds(SHORT) };
  const admin = await open({ claims: expiring });
  const { socket } = admin;
  const renewed = socket.waitForEvent('framereceived', {
    predicate: ({ payload }) => String(payload).includes('"refreshed"'),
    timeout: 2 * SHORT * 1000,
  });
  const ended = endOf(cluster.url, await cluster.token(expiring));

  const fresh = await cluster.token({ sub });
  await admin.page.evaluate((token) => localStorage.setItem('token', token), fresh);
  await renewed;
  expect(await ended).toBe(4401); // the first token is worth nothing any more…

  await cluster.announce('still there');
  await admin.hasUnread(1); // …and the page lives on, on the connection it had
  expect(admin.socket).toBe(socket);
});

test('a token that expires asks for another one, and with it comes what was missed', async ({ cluster, open }) => {
  const sub = String(cluster.number());
  const admin = await open({ claims: { sub, exp: inSeconds(SHORT) } });
  await cluster.announce('before');
  await admin.hasUnread(1);
  const dialog = admin.page.getByRole('dialog', { name: 'A new token is needed' });
  await dialog.waitFor({ timeout: 2 * SHORT * 1000 });
  await cluster.announce('meanwhile');

  await dialog.getByLabel('Administrator’s token').fill(await cluster.token({ sub }));
  await dialog.getByRole('button', { name: 'Use this token' }).click();

  await admin.isLive();
  await expect(dialog).toBeHidden();
  await admin.holds(['meanwhile', 'before']);
  await admin.hasUnread(2);
});

test('whoever puts it off keeps what the page shows; one tab is given a token, and both go on', async ({
  cluster,
  open,
}) => {
  const sub = String(cluster.number());
  const first = await open({ claims: { sub } });
  const second = await open({ tabOf: first });
  await cluster.announce('before');
  for (const tab of [first, second]) await tab.hasUnread(1);

  await cluster.endConnections(sub);
  for (const { page } of [first, second]) {
    await page.bringToFront();
    await page.getByRole('dialog', { name: 'A new token is needed' }).waitFor();
    await page.keyboard.press('Escape');
    await expect(page.getByRole('dialog')).toBeHidden();
  }
  await second.holds(['before']);

  await second.page.getByRole('main').getByRole('button', { name: 'Change token' }).click();
  await second.page.getByLabel('Administrator’s token').fill(await cluster.token({ sub }));
  await second.page.getByRole('button', { name: 'Use this token' }).click();

  for (const tab of [second, first]) {
    await tab.page.bringToFront();
    await tab.isLive();
  }
});

test('an app that can refresh connects with an expired token, and stays beyond the next', async ({ cluster, open }) => {
  const sub = String(cluster.number());
  const admin = await open({ claims: null });
  const [expired, short, long] = [
    await cluster.token({ sub, exp: inSeconds(-60) }),
    await cluster.token({ sub, exp: inSeconds(SHORT) }),
    await cluster.token({ sub }),
  ];
  const fresh = [short, long];
  await admin.page.exposeFunction('issueToken', () => fresh.shift() ?? null);
  await servePackage(admin.page);

  const states = await admin.page.evaluate(async (token) => {
    const core = '/lib/core.js';
    const { RealtimeClient } = (await import(core)) as typeof Core;
    const client = new RealtimeClient({
      isAdmin: true,
      getToken: () => token,
      refreshAccessToken: () => globalThis.issueToken(),
    });
    const seen = new Set<string>();
    client.subscribe(() => seen.add(client.snapshot.state));
    const refreshed = new Promise<void>((resolve) => {
      client.on('message', ({ type }) => {
        if (type === 'refreshed') resolve();
      });
    });
    client.connect();
    await refreshed;
    return [...seen];
  }, expired);

  expect(states).toEqual(['connecting', 'open']);
  expect(fresh).toEqual([]);
  expect(await endOf(cluster.url, short)).toBe(4401);
  expect(admin.sockets).toEqual([admin.socket]);
});

/** Let the page import what `npm run build:lib` made, as if an app brought it. */
async function servePackage(page: Page): Promise<void> {
  const built = fileURLToPath(new URL('../build/lib', import.meta.url));
  await page.route('**/lib/*.js', (route) => {
    return route.fulfill({ path: `${built}/${basename(new URL(route.request().url()).pathname)}` });
  });
}

function inSeconds(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds;
}

/** Connect with a token, and return the code with which the node ends it. */
async function endOf(url: string, token: string): Promise<number> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/api/v1/ws/admin`, ['bearer', token]);
  const [code] = (await once(socket, 'close')) as [number];
  return code;
}
