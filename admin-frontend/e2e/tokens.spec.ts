import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { WebSocket } from 'ws';

import type * as Core from '../src/realtime';
import { expect, test } from './test';

const SHORT = 6; // s; renewed when a fifth of it is left

declare global {
  var issueToken: () => Promise<string>;
}

test('a token that is replaced in time is renewed on the open connection', async ({ cluster, open }) => {
  const sub = String(cluster.number());
  const expiring = { sub, exp: inSeconds(SHORT) };
  const admin = await open({ claims: expiring });
  const [socket] = admin.sockets;
  const renewed = socket!.waitForEvent('framereceived', ({ payload }) => String(payload).includes('"refreshed"'));
  const ended = endOf(cluster.url, await cluster.token(expiring));

  const fresh = await cluster.token({ sub });
  await admin.page.evaluate((token) => localStorage.setItem('token', token), fresh);
  await renewed;
  expect(await ended).toBe(4401); // the first token is worth nothing any more…

  await cluster.announce('still there');
  await admin.hasUnread(1); // …and the page lives on, on the connection it had
  expect(admin.sockets).toEqual([socket]);
  expect(socket!.isClosed()).toBe(false);
});

test('a token that expires asks for another one, and with it comes what was missed', async ({ cluster, open }) => {
  const sub = String(cluster.number());
  const admin = await open({ claims: { sub, exp: inSeconds(3) } });
  await cluster.announce('before');
  await admin.hasUnread(1);
  await expect(admin.page.getByText('The token is invalid or has expired')).toBeVisible();
  await cluster.announce('meanwhile');

  await admin.page.getByRole('main').getByRole('button', { name: 'Change token' }).click();
  await admin.page.getByLabel('Administrator’s token').fill(await cluster.token({ sub }));
  await admin.page.getByRole('button', { name: 'Sign in' }).click();

  await admin.isLive();
  await admin.holds(['meanwhile', 'before']);
  await admin.hasUnread(2);
});

test.describe('as a package', () => {
  test('an app that can refresh connects with an expired token, and stays beyond the next', async ({
    cluster,
    open,
  }) => {
    const sub = String(cluster.number());
    const { page, sockets } = await open({ claims: null });
    const issued: string[] = [];
    await page.exposeFunction('issueToken', async () => {
      issued.push(await cluster.token({ sub, exp: inSeconds(issued.length === 0 ? SHORT : 600) }));
      return issued.at(-1);
    });
    await page.route('**/lib/*.js', (route) => {
      const name = new URL(route.request().url()).pathname;
      return route.fulfill({ path: fileURLToPath(new URL(`../build${name}`, import.meta.url)) });
    });

    const expired = await cluster.token({ sub, exp: inSeconds(-60) });
    const states = await page.evaluate(async (token) => {
      const core = '/lib/core.js';
      const { RealtimeClient } = (await import(core)) as typeof Core;
      const client = new RealtimeClient({
        isAdmin: true,
        getToken: () => token,
        refreshAccessToken: () => globalThis.issueToken(),
      });
      const seen: string[] = [];
      client.subscribe(() => {
        const { state } = client.snapshot;
        if (seen.at(-1) !== state) seen.push(state);
      });
      const refreshed = new Promise((resolve) => {
        client.on('message', ({ type }) => type === 'refreshed' && resolve(type));
      });
      client.connect();
      await refreshed;
      return seen;
    }, expired);

    expect(states).toEqual(['connecting', 'open']);
    expect(issued).toHaveLength(2);
    expect(sockets).toHaveLength(1);
    expect(await endOf(cluster.url, issued[0]!)).toBe(4401);
    expect(sockets[0]!.isClosed()).toBe(false);
  });
});

function inSeconds(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds;
}

/** Connect with a token, and return the code with which the node ends it. */
async function endOf(url: string, token: string): Promise<number> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/api/v1/ws/admin`, ['bearer', token]);
  const [code] = (await once(socket, 'close')) as [number];
  return code;
}
