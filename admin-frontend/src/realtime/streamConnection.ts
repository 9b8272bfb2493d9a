import { CloseCode } from './closeCodes';
import type { Clock, TimerId } from './clock';
import { EventStreamParser, type StreamEvent } from './eventStreamParser';
import { isFields, readFrame } from './frames';
import { Heartbeat } from './heartbeat';
import { ABNORMAL, type Close, type Transport, type TransportEvents } from './transport';

interface StreamOptions {
  url: string;
  statsUrl: string;
  token: string;
  fetch: typeof fetch;
  clock: Clock;
  /** Within which the `connected` message must come, ms. */
  connectTimeout: number;
  on: TransportEvents;
}

// A node shows something every 15 s, if only a comment.
const SILENCE_MS = 20_000;

const CODES: Readonly<Record<number, number>> = {
  401: CloseCode.UNAUTHENTICATED,
  403: CloseCode.FORBIDDEN,
  429: CloseCode.TOO_MANY,
  503: CloseCode.TRY_AGAIN_LATER,
};

/**
 * One answer of Server-Sent Events, from its request to its end, which is told exactly once.
 *
 * It brings the messages of a socket. With `fetch` and not with `EventSource`, which can neither send an
 * `Authorization` nor tell a status; and which comes back by itself, with the old token.
 */
export class StreamConnection implements Transport {
  readonly #options: StreamOptions;
  readonly #heartbeat: Heartbeat;
  readonly #handshake: TimerId;
  readonly #abort = new AbortController();
  readonly #parser = new EventStreamParser();
  #isOver = false;
  connectedAt: number | null = null;
  retryAfter: number | null = null;

  constructor(options: StreamOptions) {
    this.#options = options;
    const { clock, connectTimeout } = options;
    this.#heartbeat = new Heartbeat(clock, SILENCE_MS, SILENCE_MS, {
      ask: () => undefined,
      dead: () => this.#end({ code: CloseCode.NO_HEARTBEAT, reason: 'the node is silent' }),
    });
    this.#handshake = clock.setTimeout(
      () => this.#end({ code: ABNORMAL, reason: 'no connection within the deadline' }),
      connectTimeout,
    );
    void this.#run();
  }

  /** The node's interval is that of sockets: a stream's is its own. */
  welcomed(): void {
    this.#options.clock.clearTimeout(this.#handshake);
    this.connectedAt = this.#options.clock.now();
    this.#heartbeat.start();
  }

  /** Do what a socket would be asked for, as far as HTTP can. The token is not refreshed: at its end the node ends us. */
  send(text: string): void {
    if (text === 'get_stats') void this.#askStats();
    else this.#options.on.received({ kind: 'message', message: { type: 'error', code: 'unknown_command' } });
  }

  /** Nothing can be asked: whether it lives is known when something should have come. */
  probe(): void {
    this.#heartbeat.probe(SILENCE_MS);
  }

  close(): void {
    this.#finish();
  }

  async #run(): Promise<void> {
    try {
      this.#end(await this.#read());
    } catch {
      this.#end({ code: ABNORMAL, reason: 'the stream broke' });
    }
  }

  async #read(): Promise<Close> {
    const response = await this.#fetch(this.#options.url, 'text/event-stream');
    const type = response.headers.get('Content-Type') ?? '';
    if (response.status !== 200 || !type.startsWith('text/event-stream') || response.body === null) {
      return this.#refusal(response);
    }
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.#isOver) return { code: ABNORMAL, reason: 'the stream ended' };
      this.#heartbeat.heard();
      for (const event of this.#parser.push(decoder.decode(value, { stream: true }))) this.#take(event);
    }
  }

  #take({ name, data }: StreamEvent): void {
    if (this.#isOver) return;
    if (name === 'message') this.#options.on.received(readFrame(data));
    else if (name === 'close') this.#end(closeIn(data));
  }

  async #refusal(response: Response): Promise<Close> {
    const seconds = Number(response.headers.get('Retry-After') ?? NaN);
    if (seconds >= 0) this.retryAfter = seconds * 1000;
    const body = (await response.json().catch(() => null)) as unknown;
    const reason = isFields(body) && typeof body['detail'] === 'string' ? body['detail'] : '';
    return { code: CODES[response.status] ?? ABNORMAL, reason };
  }

  async #askStats(): Promise<void> {
    const stats = await this.#fetch(this.#options.statsUrl, 'application/json')
      .then((response) => response.json() as Promise<object>)
      .catch(() => null);
    if (stats !== null && !this.#isOver) {
      this.#options.on.received(readFrame(JSON.stringify({ ...stats, type: 'stats' })));
    }
  }

  #fetch(url: string, accept: string): Promise<Response> {
    const { token, fetch } = this.#options;
    const headers = { Authorization: `Bearer ${token}`, Accept: accept };
    return fetch(url, { headers, signal: this.#abort.signal, cache: 'no-store' });
  }

  #end(close: Close): void {
    if (this.#isOver) return;
    this.#finish();
    this.#options.on.ended(close);
  }

  #finish(): void {
    this.#isOver = true;
    this.#heartbeat.stop();
    this.#options.clock.clearTimeout(this.#handshake);
    this.#abort.abort();
  }
}

function closeIn(data: string): Close {
  const value = JSON.parse(data) as unknown;
  if (!isFields(value) || typeof value['code'] !== 'number') return { code: ABNORMAL, reason: '' };
  return { code: value['code'], reason: typeof value['reason'] === 'string' ? value['reason'] : '' };
}
