import { describe, expect, test } from 'vitest';

import { FakeClock } from '../test/FakeClock';
import { settle } from '../test/until';
import { Address } from './address';
import type { RealtimeClient } from './client';
import { InboxApi, InboxError } from './inboxApi';

interface Asked {
  url: URL;
  method: string;
  token: string | null;
  body: string;
}

const COUNT = { unread: 1, as_of: 'admin.1-1,all.1-0', revision: 0, by_audience: { admin: 1, all: 0 } };
const json = (body: unknown, status = 200, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(body), { status, headers });

/** An API whose server answers as it is told, in turn; the last answer goes on. */
function apiWith(answers: (() => Response | Promise<Response>)[], isAdmin = true) {
  const asked: Asked[] = [];
  const refused: string[] = [];
  const clock = new FakeClock();
  const tokens = { get: async () => `token-${refused.length}`, refuse: (token: string) => refused.push(token) };
  const api = new InboxApi({
    client: { tokens, address: new Address('https://node.example/') } as unknown as RealtimeClient,
    isAdmin,
    clock,
    fetch: async (url, { method = '', headers, body } = {}) => {
      const text = typeof body === 'string' ? body : '';
      asked.push({ url: new URL(url as string), method, token: new Headers(headers).get('authorization'), body: text });
      return (answers.length > 1 ? answers.shift() : answers[0])!();
    },
  });
  return { api, asked, refused, clock };
}

const kindOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'answered',
    (error: unknown) => (error instanceof InboxError ? error.kind : error),
  );

describe('a call', () => {
  test('asks for what the socket beside it hears', async () => {
    for (const [isAdmin, audience] of [
      [true, 'admin,all'],
      [false, 'user,all'],
    ] as const) {
      const { api, asked } = apiWith([() => json(COUNT)], isAdmin);
      await api.count();
      expect(asked[0]?.url.href).toContain('https://node.example/api/v1/notifications/unread-count?');
      expect(asked[0]?.url.searchParams.get('audience')).toBe(audience);
      expect(asked[0]?.token).toBe('Bearer token-0');
    }
  });

  test('names filters and place of a page', async () => {
    const { api, asked } = apiWith([() => json({ notifications: [], next_cursor: null })]);
    await api.list({ type: 'order paid', unread: true, cursor: 'admin.1-5,all.1-2', limit: 30 });
    expect(Object.fromEntries(asked[0]!.url.searchParams)).toEqual({
      audience: 'admin,all',
      type: 'order paid',
      unread: 'true',
      cursor: 'admin.1-5,all.1-2',
      limit: '30',
    });
  });

  test('that is refused for its token is made once more with another one', async () => {
    const { api, asked, refused } = apiWith([() => json({}, 401), () => json(COUNT)]);
    expect(await api.count()).toEqual(COUNT);
    expect(refused).toEqual(['token-0']);
    expect(asked.map(({ token }) => token)).toEqual(['Bearer token-0', 'Bearer token-1']);
  });

  test('ends when it is aborted, with no failure of the inbox', async () => {
    const stop = new AbortController();
    const aborted = (signal: AbortSignal): Promise<Response> =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    const { api } = apiWith([() => aborted(stop.signal)]);
    const outcome = kindOf(api.count(stop.signal));
    await settle();
    stop.abort();
    expect(await outcome).toMatchObject({ name: 'AbortError' });
  });

  test('that nobody answers is given up', async () => {
    const { api, clock } = apiWith([() => new Promise<Response>(() => undefined)]);
    const outcome = kindOf(api.count());
    await settle();
    clock.advance(15_000);
    expect(await outcome).toBe('away');
    expect(clock.waiting).toBe(0);
  });
});

describe('what went wrong', () => {
  test.each([
    [404, 'off'],
    [405, 'off'],
    [500, 'away'],
    [503, 'away'],
    [429, 'away'],
    [403, 'refused'],
    [422, 'refused'],
  ])('a count that is answered with %i: %s', async (status, kind) => {
    const { api } = apiWith([() => json({ detail: 'so it is' }, status)]);
    expect(await kindOf(api.count())).toBe(kind);
  });

  test('of one notification 404 means that one', async () => {
    const { api } = apiWith([() => json({ detail: 'no such notification' }, 404)]);
    expect(await kindOf(api.markAsRead('admin.1-1'))).toBe('unknown');
    expect(await kindOf(api.remove('admin.1-1'))).toBe('unknown');
    expect(await kindOf(api.markUpTo('admin.1-1'))).toBe('off');
  });

  test('a node that says when to come back is heard', async () => {
    const { api } = apiWith([() => json({}, 503, { 'Retry-After': '7' })]);
    await expect(api.count()).rejects.toMatchObject({ retryAfter: 7000 });
  });

  test('no network, and an answer that is none of the inbox’s, are not there just now', async () => {
    const { api: cutOff } = apiWith([() => Promise.reject(new TypeError('Failed to fetch'))]);
    expect(await kindOf(cutOff.count())).toBe('away');
    for (const body of [{ ...COUNT, unread: '3' }, [], null, { notifications: [{}], next_cursor: null }]) {
      const { api } = apiWith([() => json(body)]);
      expect(await kindOf(api.count())).toBe('away');
    }
    const { api } = apiWith([() => json({ notifications: [{ id: 1 }], next_cursor: null })]);
    await expect(api.list()).rejects.toThrow('notifications has an element that');
  });
});
