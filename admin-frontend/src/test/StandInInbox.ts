export interface Answer {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

interface Event {
  id: string;
  stream: string;
  n: number;
  message: Record<string, unknown>;
  createdAt: number;
}

type Stream = 'admin' | 'all';

export const INBOX = '/api/v1/notifications';
const STREAMS: readonly Stream[] = ['admin', 'all'];
const FIRST_AT = Date.parse('2026-01-01T10:00:00Z');

/**
 * An admin's inbox as a node answers for it, whose database is as far behind as a test wants: what is published is in
 * it once `archive()` was called. Counts it recounts each time.
 */
export class StandInInbox {
  isAway = false;
  /** Takes no change. */
  isReadOnly = false;
  /** Every call, as `GET /unread-count?audience=…`. */
  readonly calls: string[] = [];
  /** Says the frame `inbox` to all devices. */
  tell: (frame: object) => void = () => undefined;
  revision = 0;
  readonly #events: Event[] = [];
  readonly #archived = new Map<string, number>(STREAMS.map((stream) => [stream, 0]));
  readonly #readUpTo = new Map<string, number>(STREAMS.map((stream) => [stream, 0]));
  readonly #read = new Set<string>();
  readonly #deleted = new Set<string>();

  /** Publish an event, and return it as the socket brings it. */
  publish(message: object, stream: Stream = 'admin'): Record<string, unknown> & { id: string } {
    const n = this.#events.filter((event) => event.stream === stream).length + 1;
    const id = `${stream}.1-${n}`;
    const createdAt = FIRST_AT + this.#events.length * 1000;
    const full = { timestamp: new Date(createdAt).toISOString(), ...message, id };
    this.#events.push({ id, stream, n, message: full, createdAt });
    return full;
  }

  archive(): void {
    for (const stream of STREAMS) this.#archived.set(stream, this.#top(stream));
  }

  /** Ids of all that was published and is not read, archived or not, newest first. */
  get unread(): string[] {
    return this.#events
      .filter((event) => this.#isUnread(event))
      .map(({ id }) => id)
      .reverse();
  }

  /** Ids of all that is there, archived or not, newest first. */
  get kept(): string[] {
    return this.#events
      .map(({ id }) => id)
      .filter((id) => !this.#deleted.has(id))
      .reverse();
  }

  /** Change something on another device. */
  otherDevice(change: 'read' | 'delete', id: string): void {
    this.answer(
      change === 'read' ? 'POST' : 'DELETE',
      new URL(`http://node${INBOX}/${id}${change === 'read' ? '/read' : ''}`),
    );
  }

  readonly fetch: typeof fetch = async (input, { method = 'GET', body } = {}) => {
    const {
      status,
      body: content,
      headers = {},
    } = this.answer(method, new URL(input as string), typeof body === 'string' ? body : '');
    return new Response(JSON.stringify(content), { status, headers });
  };

  answer(method: string, url: URL, text = ''): Answer {
    const path = url.pathname.slice(INBOX.length);
    this.calls.push(`${method} ${path}${url.search}`);
    if (this.isAway) return { status: 503, body: { detail: 'away' }, headers: { 'Retry-After': '2' } };
    if (method === 'GET') return { status: 200, body: path === '/unread-count' ? this.#count() : this.#page(url) };
    if (this.isReadOnly) return { status: 403, body: { detail: 'nothing may be changed' } };
    if (path === '/read') return this.#markUpTo((JSON.parse(text) as { up_to: string }).up_to);
    const id = decodeURIComponent(path.split('/')[1] ?? '');
    return this.#change(id, method === 'DELETE');
  }

  #change(id: string, isDeletion: boolean): Answer {
    const event = this.#events.find((each) => each.id === id);
    if (event === undefined || this.#deleted.has(id)) return { status: 404, body: { detail: 'no such notification' } };
    if (!this.#isArchived(event)) return { status: 503, body: { detail: 'not yet' }, headers: { 'Retry-After': '1' } };
    if (isDeletion) {
      this.#deleted.add(id);
      this.#changed({ deleted: [id] });
    } else if (this.#isUnread(event)) {
      this.#read.add(id);
      this.#changed({ read: [id] });
    }
    return { status: 200, body: this.#count() };
  }

  #markUpTo(places: string): Answer {
    for (const place of places.split(',')) {
      const [, stream = '', n] = /^(.+)\.\d+-(\d+)$/.exec(place) ?? [];
      const upTo = Math.min(Number(n), this.#top(stream));
      this.#readUpTo.set(stream, Math.max(upTo, this.#readUpTo.get(stream) ?? 0));
    }
    this.#changed({ up_to: places.split(',') });
    return { status: 200, body: { ...this.#count(), read: [], unknown: [] } };
  }

  #changed(change: object): void {
    this.revision += 1;
    const { unread, as_of, revision } = this.#count();
    this.tell({ type: 'inbox', unread, as_of, revision, ...change });
  }

  #count(): { unread: number; as_of: string; revision: number; by_audience: object } {
    const unread = this.#events.filter((event) => this.#isArchived(event) && this.#isUnread(event)).length;
    const as_of = STREAMS.map((stream) => `${stream}.1-${this.#archived.get(stream) ?? 0}`).join(',');
    return { unread, as_of, revision: this.revision, by_audience: { admin: unread } };
  }

  #page({ searchParams: asked }: URL): object {
    const below = Number(asked.get('cursor') ?? this.#events.length);
    const found = this.#events
      .map((event, at) => ({ event, at }))
      .slice(0, below)
      .reverse();
    const wanted = found.filter(
      ({ event }) =>
        this.#isArchived(event) &&
        !this.#deleted.has(event.id) &&
        !(asked.get('unread') === 'true' && !this.#isUnread(event)) &&
        (asked.get('type') ?? event.message['type']) === event.message['type'],
    );
    const page = wanted.slice(0, Number(asked.get('limit') ?? 30));
    return {
      notifications: page.map(({ event: { id, stream, message, createdAt } }) => ({
        id,
        audience: stream,
        type: message['type'],
        read: !this.unread.includes(id),
        created_at: new Date(createdAt).toISOString(),
        expires_at: null,
        content: message,
      })),
      next_cursor: page.length < wanted.length ? String(page.at(-1)?.at) : null,
    };
  }

  #top(stream: string): number {
    return this.#events.filter((event) => event.stream === stream).length;
  }

  #isArchived({ stream, n }: Event): boolean {
    return n <= (this.#archived.get(stream) ?? 0);
  }

  #isUnread({ id, stream, n }: Event): boolean {
    return !this.#deleted.has(id) && !this.#read.has(id) && n > (this.#readUpTo.get(stream) ?? 0);
  }
}
