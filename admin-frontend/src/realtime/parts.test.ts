import { describe, expect, test } from 'vitest';
import { FakeClock } from '../test/FakeClock';
import { jwt } from '../test/jwt';
import { Address } from './address';
import { backoff } from './backoff';
import { CLOSE_CODES, CloseCode } from './closeCodes';
import { Cursors } from './cursors';
import { Emitter } from './emitter';
import { expiryOf, subjectOf } from './jwt';
import { Tokens } from './tokens';

test('back-off doubles up to its bound, and lies anywhere below', () => {
  const longest = [1, 2, 3, 4, 5, 6, 1e9].map((attempt) => backoff(attempt, 3000, 30_000, () => 1));
  expect(longest).toEqual([3000, 6000, 12_000, 24_000, 30_000, 30_000, 30_000]);
  expect(backoff(3, 3000, 30_000, () => 0.25)).toBe(3000);
  expect(backoff(3, 3000, 30_000, () => 0)).toBe(0);
});

test('every close code is explained', () => {
  const unexplained = Object.values(CloseCode).filter((code) => code !== CloseCode.NORMAL && !(code in CLOSE_CODES));
  expect(unexplained).toEqual([]);
});

describe('an address', () => {
  test.each([
    [undefined, 'https://video.example/admin/page?x=1#y', 'wss://video.example/api/v1/ws/admin'],
    ['', 'http://video.example:8000/', 'ws://video.example:8000/api/v1/ws/admin'],
    ['ws://node:8000', 'http://page/', 'ws://node:8000/api/v1/ws/admin'],
    ['https://push.example', 'http://page/', 'wss://push.example/api/v1/ws/admin'],
    ['wss://push.example/live/', 'http://page/', 'wss://push.example/live/api/v1/ws/admin'],
    ['ws://localhost:8000/api/v1/ws', 'http://page/', 'ws://localhost:8000/api/v1/ws/admin'],
    ['ws://localhost:8000/x/api/v1/ws/admin', 'http://page/', 'ws://localhost:8000/x/api/v1/ws/admin'],
    ['/live', 'https://page/deep/', 'wss://page/live/api/v1/ws/admin'],
  ])('%s on the page %s is %s', (base, page, socket) => {
    expect(new Address(base, page).socket(true, null)).toBe(socket);
  });

  test('leads to the user endpoint, with a place to go on from, and to HTTP calls', () => {
    const address = new Address('wss://push.example', 'http://page/');
    const url = new URL(address.socket(false, 'u.Nw.1-2,all.1-0'));
    expect(url.searchParams.has('acks')).toBe(false);
    expect(new URL(address.socket(false, null, true)).search).toBe('?acks=1');
    expect(url.pathname).toBe('/api/v1/ws');
    expect(url.searchParams.get('since')).toBe('u.Nw.1-2,all.1-0');
    expect(address.http('transcodes')).toBe('https://push.example/api/v1/transcodes');
  });
});

describe('cursors', () => {
  test('order positions by epoch, then by number, not as text', () => {
    const cursors = new Cursors('admin.2-9');
    expect(cursors.advance('admin.2-10')).toBe(true);
    expect(cursors.advance('admin.2-9')).toBe(false);
    expect(cursors.advance('admin.1-99')).toBe(false);
    expect(cursors.advance('admin.10-1')).toBe(true);
    expect(cursors.since).toBe('admin.10-1');
  });

  test('know streams of users, and let through what names no place', () => {
    const cursors = new Cursors('u.MTAw-_.1732400000123-12,all.1732400000123-0');
    expect(cursors.advance('u.MTAw-_.1732400000123-12')).toBe(false);
    expect(cursors.advance('u.MTAw-_.1732400000123-13')).toBe(true);
    expect(cursors.advance('whatever')).toBe(true);
    expect(cursors.advance('whatever')).toBe(true);
    expect(cursors.since).toBe('u.MTAw-_.1732400000123-13,all.1732400000123-0');
  });

  test('that a node sets anew forget streams that are heard no more', () => {
    const cursors = new Cursors('admin.1-1,all.1-1');
    cursors.reset('u.Nw.1-0,all.1-0');
    expect(cursors.since).toBe('u.Nw.1-0,all.1-0');
  });

  test('say nothing before there is anything to say', () => {
    expect(new Cursors().since).toBeNull();
    expect(new Cursors('nonsense').since).toBeNull();
  });
});

describe('tokens', () => {
  const clock = new FakeClock();
  const soon = Math.floor(clock.now() / 1000) + 5;

  test('tell when they end and whose they are, in any language; opaque ones tell nothing', () => {
    expect(expiryOf(jwt({ exp: 1_770_000_000 }))).toBe(1_770_000_000_000);
    expect(subjectOf(jwt({ sub: '小明>?' }))).toBe('小明>?');
    expect(subjectOf(`x.${btoa('{"sub":7}')}.y`)).toBe('7');
    for (const token of ['opaque', 'a.b.c', 'a.W10.c', '', 'a.!.c', 'a.e30', 'a.e30.c.d'])
      expect([expiryOf(token), subjectOf(token)]).toEqual([null, null]);
  });

  test('are refreshed once for all who ask at the same time', async () => {
    let refreshed = 0;
    const refreshAccessToken = async (): Promise<string> => jwt({ n: (refreshed += 1) });
    const tokens = new Tokens({ getToken: () => null, refreshAccessToken }, clock);
    const found = await Promise.all([tokens.get(1000), tokens.get(1000), tokens.renew('other')]);
    expect(new Set(found).size).toBe(1);
    expect(refreshed).toBe(1);
    await tokens.get(1000);
    expect(refreshed).toBe(2);
  });

  test('about to expire are used if no other is to be had', async () => {
    const token = jwt({ exp: soon });
    const failing = async (): Promise<string> => {
      throw new Error('no network');
    };
    for (const refreshAccessToken of [failing, async () => null]) {
      expect(await new Tokens({ getToken: () => token, refreshAccessToken }, clock).get(1000)).toBe(token);
    }
  });

  test('that are refused are not offered again, even if the store still has them', async () => {
    const [a, b, c] = [jwt({ n: 1 }), jwt({ n: 2 }), jwt({ n: 3 })];
    const next = [b, a, c];
    const tokens = new Tokens({ getToken: () => a, refreshAccessToken: async () => next.shift() ?? null }, clock);
    expect(await tokens.get(1000)).toBe(a);
    tokens.refuse(a);
    expect(await tokens.get(1000)).toBe(b);
    tokens.refuse(b);
    await expect(tokens.get(1000)).rejects.toMatchObject({ kind: 'token', details: { code: 'no_token' } });
    expect(await tokens.get(1000)).toBe(c);
  });

  test('leave no timer behind', async () => {
    await new Tokens({ getToken: () => jwt() }, clock).get(1000);
    expect(clock.waiting).toBe(0);
  });
});

test('a listener that throws stops no other, and its error is not swallowed', async () => {
  const errors: unknown[] = [];
  const caught = (error: unknown): void => void errors.push(error);
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException').on('uncaughtException', caught);
  try {
    const emitter = new Emitter<{ said: (text: string) => void }>();
    const heard: string[] = [];
    emitter.on('said', () => {
      throw new Error('mine');
    });
    emitter.on('said', (text) => heard.push(text));
    emitter.emit('said', 'hello');
    expect(heard).toEqual(['hello']);
    await new Promise((resolve) => setImmediate(resolve));
    expect(errors).toMatchObject([{ message: 'mine' }]);
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of others) process.on('uncaughtException', listener);
  }
});
