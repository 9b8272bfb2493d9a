import type { RealtimeClient } from './client';
import { systemClock, withDeadline, type Clock } from './clock';
import { RealtimeError } from './errors';
import { checkFields, isFields } from './frames';
import { INBOX_SHAPES, type InboxAnswers } from './inboxAnswers';

/**
 * | kind | meaning |
 * | --- | --- |
 * | off | this cluster keeps no inbox |
 * | away | its database, the node or the network does not answer just now; tried again it may |
 * | unknown | there is no such notification in this inbox, or no more |
 * | refused | the token is not accepted, or the call: tried again it will fail again |
 */
export type InboxErrorKind = 'off' | 'away' | 'unknown' | 'refused';

export class InboxError extends Error {
  override readonly name = 'InboxError';

  constructor(
    readonly kind: InboxErrorKind,
    message: string,
    /** ms after which it may be tried again, if the node said so. */
    readonly retryAfter: number | null = null,
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

export interface ListQuery {
  /** Only of this type. */
  type?: string;
  /** Only what is not read. */
  unread?: boolean;
  /** `next_cursor` of the page before. */
  cursor?: string;
  /** 1 to 100. */
  limit?: number;
}

export interface InboxApiOptions {
  /** Whose tokens and address it uses. */
  client: Pick<RealtimeClient, 'tokens' | 'address'>;
  /** Which endpoint's audiences are meant: a badge counts what the socket beside it hears. */
  isAdmin: boolean;
  fetch?: typeof fetch;
  clock?: Clock;
}

interface Call {
  method?: 'GET' | 'POST' | 'DELETE';
  query?: Record<string, string>;
  body?: object;
  signal?: AbortSignal | undefined;
}

interface Answer {
  status: number;
  body: unknown;
  retryAfter: number | null;
}

const TIMEOUT_MS = 15_000;
const PATH = 'notifications';

/** The inbox's calls: each answers with what the node says, or throws an `InboxError`. */
export class InboxApi {
  readonly #options: Required<InboxApiOptions>;

  constructor(options: InboxApiOptions) {
    this.#options = { fetch: (...args) => globalThis.fetch(...args), clock: systemClock, ...options };
  }

  /** A page, newest first. What comes meanwhile shifts none: the socket brings it. */
  list(query: ListQuery = {}, signal?: AbortSignal): Promise<InboxAnswers['InboxNotificationPage']> {
    const asked = Object.entries(query).filter(([, value]) => value !== undefined && value !== false);
    return this.#call('InboxNotificationPage', '', {
      query: Object.fromEntries(asked.map(([name, value]) => [name, String(value)])),
      signal,
    });
  }

  count(signal?: AbortSignal): Promise<InboxAnswers['InboxUnreadCount']> {
    return this.#call('InboxUnreadCount', '/unread-count', { signal });
  }

  markAsRead(id: string, signal?: AbortSignal): Promise<InboxAnswers['InboxUnreadCount']> {
    return this.#call('InboxUnreadCount', `/${encodeURIComponent(id)}/read`, { method: 'POST', signal });
  }

  /** Mark everything as read up to a place in each stream, `<id>,<id>,…`, also what the database has not got yet. */
  markUpTo(places: string, signal?: AbortSignal): Promise<InboxAnswers['InboxMarkResult']> {
    return this.#call('InboxMarkResult', '/read', { method: 'POST', body: { up_to: places }, signal });
  }

  /** Delete one for this user; a second time it is `unknown`. */
  remove(id: string, signal?: AbortSignal): Promise<InboxAnswers['InboxUnreadCount']> {
    return this.#call('InboxUnreadCount', `/${encodeURIComponent(id)}`, { method: 'DELETE', signal });
  }

  async #call<K extends keyof InboxAnswers>(shape: K, path: string, call: Call): Promise<InboxAnswers[K]> {
    const token = await this.#token();
    let answer = await this.#ask(path, call, token);
    if (answer.status === 401) {
      this.#options.client.tokens.refuse(token);
      answer = await this.#ask(path, call, await this.#token());
    }
    if (answer.status < 200 || answer.status > 299) throw failureOf(answer, path);
    const problem = isFields(answer.body) ? checkFields(answer.body, INBOX_SHAPES[shape]) : 'is no object';
    if (problem !== null) throw new InboxError('away', `the inbox answers with something else: ${problem}`);
    return answer.body as InboxAnswers[K];
  }

  async #token(): Promise<string> {
    try {
      return await this.#options.client.tokens.get(TIMEOUT_MS);
    } catch (cause) {
      const isFinal = cause instanceof RealtimeError && cause.details.code === 'no_token';
      throw new InboxError(isFinal ? 'refused' : 'away', 'there is no token to ask the inbox with', null, cause);
    }
  }

  async #ask(path: string, { method = 'GET', query, body, signal }: Call, token: string): Promise<Answer> {
    const { client, isAdmin, fetch, clock } = this.#options;
    const url = new URL(client.address.http(PATH + path));
    url.search = new URLSearchParams({ audience: isAdmin ? 'admin,all' : 'user,all', ...query }).toString();
    const giveUp = new AbortController();
    const asked = fetch(url.href, {
      method,
      headers: {
        Accept: 'application/json',
        Authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      signal: signal === undefined ? giveUp.signal : AbortSignal.any([signal, giveUp.signal]),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    try {
      return await withDeadline(asked.then(read), TIMEOUT_MS, clock, () => new Error('no answer within the deadline'));
    } catch (cause) {
      giveUp.abort();
      signal?.throwIfAborted();
      throw new InboxError('away', 'the inbox does not answer', null, cause);
    }
  }
}

async function read(answer: Response): Promise<Answer> {
  const seconds = Number(answer.headers.get('retry-after') ?? Number.NaN);
  const body: unknown = await answer.json().catch(() => null);
  return { status: answer.status, body, retryAfter: Number.isFinite(seconds) ? seconds * 1000 : null };
}

function failureOf({ status, body, retryAfter }: Answer, path: string): InboxError {
  const detail = isFields(body) ? body['detail'] : undefined;
  const said = `the inbox answers with ${status}${typeof detail === 'string' ? `: ${detail}` : ''}`;
  // Of one notification 404 means that one; of all of them, that this cluster, or an older node, has none.
  const isOfOne = path !== '' && path !== '/unread-count' && path !== '/read';
  if (status === 404 || status === 405) return new InboxError(isOfOne ? 'unknown' : 'off', said);
  if (status === 429 || status >= 500) return new InboxError('away', said, retryAfter);
  return new InboxError('refused', said);
}
