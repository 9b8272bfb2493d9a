/**
 * A picture of each main state of the page, for people to look at: `npm run screenshots [part of a name…]`.
 *
 * It needs a running cluster (`videosite-realtime up`), at DEV_NODE_URL and ROUTER_URL, and a Chromium at CHROMIUM. TOKEN is
 * an administrator's with the scope publish; without it, one is made by `videosite-realtime token`. The page is the one
 * of this checkout. Pictures go to build/screenshots.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { chromium } from '@playwright/test';
import { createServer } from 'vite';
import { WebSocket } from 'ws';

import { post, startTraffic } from './traffic.mjs';

const FRONT = fileURLToPath(new URL('..', import.meta.url));
const OUT = `${FRONT}build/screenshots`;
const ROUTER_URL = process.env.ROUTER_URL ?? 'http://127.0.0.1:8001';
const SOCKET = /\/api\/v1\/ws\/admin/;
const WIDE = { width: 1440, height: 900 };
const NARROW = { width: 390, height: 844 };
const SETTLED = 2500; // ms; a picture of live things has no moment of its own to wait for

/** Name, then how the browser is, then how the page gets into its state. */
const SHOTS = [
  ['sign-in', { signedIn: false }],
  ['sign-in-problem', { signedIn: false, locale: 'en', scheme: 'dark' }, wrongToken],
  ['sign-in-narrow', { signedIn: false, viewport: NARROW, locale: 'en' }],
  ['busy', {}, muted],
  ['busy-dark', { scheme: 'dark' }, muted],
  ['busy-en', { locale: 'en' }, muted],
  ['busy-narrow', { viewport: NARROW }, muted],
  ['busy-narrow-dark-en', { viewport: NARROW, scheme: 'dark', locale: 'en' }, muted],
  ['busy-tablet', { viewport: { width: 820, height: 1180 }, scheme: 'dark' }, muted],
  ['nodes', {}, nodes],
  ['nodes-narrow-dark-en', { viewport: NARROW, scheme: 'dark', locale: 'en' }, nodes],
  ['toasts', {}, toasts],
  ['toasts-narrow-dark', { viewport: NARROW, scheme: 'dark', locale: 'en' }, toasts],
  ['empty', {}, empty],
  ['empty-narrow-dark-en', { viewport: NARROW, scheme: 'dark', locale: 'en' }, empty],
  ['loading', {}, loading],
  ['bell', {}, bell],
  ['bell-dark-en', { scheme: 'dark', locale: 'en' }, bell],
  ['bell-narrow', { viewport: NARROW }, bell],
  ['account-menu', { scheme: 'dark' }, account],
  ['filtered', { locale: 'en' }, filtered],
  ['composer', {}, composer],
  ['composer-dark-en', { scheme: 'dark', locale: 'en' }, composer],
  ['composer-narrow', { viewport: NARROW }, composer],
  ['composer-sent', { locale: 'en' }, sent],
  ['composer-refused', {}, refused],
  ['waiting', {}, waiting],
  ['waiting-narrow-dark-en', { viewport: NARROW, scheme: 'dark', locale: 'en' }, waiting],
  ['offline', { scheme: 'dark', locale: 'en' }, offline],
  ['token-needed', {}, tokenNeeded],
  ['token-needed-narrow-dark-en', { viewport: NARROW, scheme: 'dark', locale: 'en' }, tokenNeeded],
  ['token-put-off', { locale: 'en' }, tokenPutOff],
  ['token-expires-soon', { lifetime: '4m' }, muted],
  ['no-network', { locale: 'en' }, noNetwork],
  ['server-gone-dark', { scheme: 'dark' }, serverGone],
];

async function main(wanted) {
  mkdirSync(OUT, { recursive: true });
  const token = process.env.TOKEN ?? administrator();
  const vite = await createServer({ root: FRONT, server: { port: 0, host: '127.0.0.1' }, logLevel: 'silent' });
  await vite.listen();
  const url = vite.resolvedUrls.local[0];
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox'],
  });
  const leave = await people(url);
  const stopTraffic = startTraffic({ routerUrl: ROUTER_URL, token });
  try {
    for (const [name, looks, act] of SHOTS) {
      if (wanted.length === 0 || wanted.some((part) => name.includes(part)))
        await shoot(browser, { name, looks, act, url, token: looks.lifetime ? administrator(looks.lifetime) : token });
    }
  } finally {
    await stopTraffic();
    leave();
    await browser.close();
    await vite.close();
  }
}

async function shoot(browser, { name, looks, act, url, token }) {
  const { locale = 'zh-CN', scheme = 'light', viewport = WIDE, signedIn = true } = looks;
  const context = await browser.newContext({ locale, colorScheme: scheme, viewport, reducedMotion: 'reduce' });
  const page = await context.newPage();
  page.on('pageerror', (error) => console.error(`${name}: ${error.message}`));
  if (signedIn) await page.addInitScript((value) => localStorage.setItem('token', value), token);
  await act?.({ page, context, url, token, before: true });
  await page.goto(url);
  await page.waitForTimeout(SETTLED);
  await act?.({ page, context, url, token, before: false });
  await page.screenshot({ path: `${OUT}/${name}.png` });
  await context.close();
  console.log(`${OUT}/${name}.png`);
}

/** Some users with several tabs each, so that there is something to count. */
async function people(url) {
  const sockets = [3, 5, 2, 4, 1].flatMap((tabs, user) => {
    const token = mint('user', String(user + 2));
    const address = `${url.replace('http', 'ws')}api/v1/ws`;
    return Array.from({ length: tabs }, () => new WebSocket(address, ['bearer', token]));
  });
  await Promise.all(sockets.map((socket) => once(socket, 'open')));
  const beat = setInterval(() => sockets.forEach((socket) => socket.send('ping')), 30_000);
  return () => {
    clearInterval(beat);
    for (const socket of sockets) socket.close();
  };
}

function administrator(lifetime = '1h') {
  return mint('admin', '1', '--username', '王芳', '--scope', 'publish', '--expires', lifetime);
}

function mint(kind, user, ...options) {
  const own = fileURLToPath(new URL('../../.venv/bin/videosite-realtime', import.meta.url));
  const command = existsSync(own) ? own : 'videosite-realtime';
  return execFileSync(command, ['token', kind, user, ...options], { encoding: 'utf8' }).trim();
}

// --- how the page gets into its states: each is called before and after it is opened

async function wrongToken({ page, before }) {
  if (before) return;
  await page.getByRole('textbox').fill('not-a-token');
  await page.getByRole('button', { name: 'Sign in' }).click();
}

async function muted({ page, before }) {
  if (before) return;
  await page
    .getByRole('button', { name: /^(关闭弹出提醒|Mute pop-ups)$/ })
    .first()
    .click();
  await page.evaluate(() => globalThis.scrollTo(0, 0));
  await page.mouse.move(1, 1);
  await page.waitForTimeout(6000); // for the counters to have a past
}

async function nodes(at) {
  await muted(at);
  if (at.before) return;
  await at.page.getByRole('region', { name: /^(节点|Nodes)$/ }).scrollIntoViewIfNeeded();
}

async function toasts({ page, token, before }) {
  if (before) return;
  const body = { message: '系统将于10分钟后维护', level: 'warning' };
  await post(`${ROUTER_URL}/api/v1/notifications`, token, { type: 'system_message', ...body });
  await page.waitForTimeout(1500);
}

async function empty({ page, before }) {
  if (!before) return;
  await page.route('**/api/v1/transcodes', (route) => route.fulfill({ json: { transcodes: [] } }));
  await page.routeWebSocket(SOCKET, (socket) => {
    socket.connectToServer().onMessage((message) => {
      if (message === 'pong' || JSON.parse(message).type === 'connected') socket.send(message);
    });
  });
}

async function loading({ page, before }) {
  if (!before) return;
  await page.route('**/api/v1/**', () => undefined);
  await page.routeWebSocket(SOCKET, () => undefined);
}

async function bell({ page, before }) {
  if (before) return;
  await page.waitForTimeout(2000);
  await page.getByRole('button', { name: /^(通知，|Notifications,)/ }).click();
  const panel = page.getByRole('dialog');
  await panel.getByRole('listitem').nth(1).getByRole('button').first().press('Enter');
  await page.mouse.move(1, 1);
  await page.waitForTimeout(500);
}

async function account({ page, before }) {
  if (!before) await page.getByRole('button', { name: /^(账户|Account)/ }).click();
  if (!before) await page.waitForTimeout(400);
}

async function filtered({ page, before }) {
  if (before) return;
  await page.getByPlaceholder('Search notifications').fill('nothing is called so');
  await page
    .getByRole('group', { name: 'Filter by state' })
    .or(page.getByLabel('Filter by state'))
    .getByText('Failed')
    .first()
    .click();
  await page.evaluate(() => globalThis.scrollTo(0, 0));
  await page.waitForTimeout(300);
}

async function composer({ page, before }) {
  if (before) return;
  await page.getByRole('button', { name: /^(发送消息|Send message)$/ }).click();
  await page.getByText(/^(警告|Warning)$/).click();
  await page.getByText(/^(所有人|Everybody)$/).click();
  await page.getByLabel(/^(内容|Message)$/).fill('系统将于10分钟后维护，预计持续5分钟。请保存您的工作。');
  await page.waitForTimeout(400);
}

async function sent(at) {
  await composer(at);
  if (at.before) return;
  await at.page.getByText(/^(所有管理员|All admins)$/).click();
  await at.page.getByRole('button', { name: /^(发送|Send)$/ }).click();
  await at.page.getByText(/^(消息已发出|Message sent)$/).waitFor();
}

async function refused(at) {
  if (at.before) {
    const answer = {
      status: 503,
      headers: { 'Retry-After': '2' },
      json: { detail: 'the router does not answer just now' },
    };
    await at.page.route('**/api/v1/admin/system-messages', (route) => route.fulfill(answer));
  }
  await composer(at);
  if (at.before) return;
  await at.page.locator('form button[type=submit]').click();
  await at.page.getByRole('alert').waitFor();
}

async function waiting({ page, before }) {
  if (before) return;
  await page.routeWebSocket(SOCKET, (socket) => socket.close({ code: 1011 }));
  await page.reload();
  await page.waitForTimeout(4500);
}

async function offline({ page, before }) {
  if (!before) return;
  await page.addInitScript(() => {
    // The waits between attempts would take a minute.
    const original = globalThis.setTimeout;
    globalThis.setTimeout = (run, ms, ...more) => original(run, ms > 400 ? ms / 40 : ms, ...more);
  });
  await page.routeWebSocket(SOCKET, (socket) => socket.close({ code: 1011 }));
}

async function tokenNeeded({ page, before }) {
  if (before)
    await page.routeWebSocket(SOCKET, (socket) => socket.close({ code: 4401, reason: 'the token has expired' }));
}

async function tokenPutOff(at) {
  await tokenNeeded(at);
  if (at.before) return;
  await at.page.keyboard.press('Escape');
  await at.page.getByRole('dialog').waitFor({ state: 'hidden' });
}

async function noNetwork({ page, context, before }) {
  if (before) return;
  await context.setOffline(true);
  await page.getByText(/^(网络已断开|No network)$/).waitFor();
}

async function serverGone({ page, before }) {
  if (!before) return;
  await page.route('**/api/v1/**', (route) => route.abort());
  await page.routeWebSocket(SOCKET, (socket) => socket.close({ code: 1011 }));
}

await main(process.argv.slice(2));
