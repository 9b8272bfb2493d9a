import type { RealtimeClient } from './client';
import { systemClock, type Clock, type TimerId } from './clock';
import { browserEnvironment, type BrowserEnvironment } from './environment';
import { Emitter } from './emitter';
import { RealtimeError } from './errors';
import { checkMessage, isFields } from './frames';
import type { TranscodeMessage } from './messages';
import type { TranscodeStore } from './transcodes';

export interface TranscodePollingOptions {
  client: RealtimeClient;
  store: TranscodeStore;
  fetch?: typeof fetch;
  environment?: BrowserEnvironment;
  clock?: Clock;
}

interface PollingEvents {
  /** The states are those that a node just told. */
  polled(): void;
  error(error: RealtimeError): void;
}

/** Between two polls while the socket is down. */
export const DOWN_MS = 5000;
const UP_MS = 15_000;
const TIMEOUT_MS = 10_000;
const TYPES: readonly unknown[] = ['transcode_progress', 'transcode_complete', 'transcode_failed'];

/**
 * Asks for all newest states by HTTP: every 5 s while the socket is down, every 15 s while it is up, never while nobody
 * looks; and at once when the socket goes down, when something was lost, and when the page is looked at again.
 */
export class TranscodePolling {
  readonly #options: Required<TranscodePollingOptions>;
  readonly #events = new Emitter<PollingEvents>();
  #stops: (() => void)[] = [];
  #timer: TimerId | undefined;
  #asking: AbortController | null = null;
  #wasUp = false;

  constructor(options: TranscodePollingOptions) {
    this.#options = {
      fetch: (...args) => globalThis.fetch(...args),
      environment: browserEnvironment(),
      clock: systemClock,
      ...options,
    };
  }

  on<K extends keyof PollingEvents>(event: K, listener: PollingEvents[K]): () => void {
    return this.#events.on(event, listener);
  }

  /** Whether an answer is awaited. */
  get isAsking(): boolean {
    return this.#asking !== null;
  }

  start(): void {
    if (this.#stops.length > 0) return;
    const { client, environment } = this.#options;
    this.#wasUp = this.#isUp;
    this.#stops = [
      client.subscribe(() => this.#connectionChanged()),
      client.on('lost', () => this.pollNow()),
      environment.subscribe((event) => {
        if (event === 'visible' || event === 'online') this.pollNow();
        else this.#pause();
      }),
    ];
    this.pollNow();
  }

  stop(): void {
    for (const stop of this.#stops.splice(0)) stop();
    this.#pause();
  }

  /** Ask now, and from then on regularly; an answer that is still awaited is not waited for. */
  pollNow(): void {
    this.#pause();
    const { environment } = this.#options;
    if (this.#stops.length > 0 && environment.visible && environment.online) void this.#poll();
  }

  get #isUp(): boolean {
    return this.#options.client.snapshot.state === 'open';
  }

  #connectionChanged(): void {
    if (this.#isUp === this.#wasUp) return;
    this.#wasUp = this.#isUp;
    // Up: the socket has just told all active states. Down: find out what it did not tell.
    if (this.#isUp) this.#schedule();
    else this.pollNow();
  }

  #pause(): void {
    this.#options.clock.clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#asking = null;
  }

  #schedule(): void {
    const { clock } = this.#options;
    clock.clearTimeout(this.#timer);
    this.#timer = clock.setTimeout(() => this.pollNow(), this.#isUp ? UP_MS : DOWN_MS);
  }

  async #poll(): Promise<void> {
    const { clock, store } = this.#options;
    const asking = new AbortController();
    this.#asking = asking;
    const deadline = clock.setTimeout(() => asking.abort(), TIMEOUT_MS);
    const askedAt = clock.now();
    try {
      const found = await this.#ask(asking.signal);
      if (this.#asking !== asking) return;
      store.merge(found, askedAt);
      this.#events.emit('polled');
    } catch (cause) {
      // Aborted by ourselves it is not asked for any more, and no error.
      if (this.#asking === asking) this.#events.emit('error', asHttpError(cause));
    } finally {
      clock.clearTimeout(deadline);
      if (this.#asking === asking) {
        this.#asking = null;
        this.#schedule();
      }
    }
  }

  async #ask(signal: AbortSignal): Promise<TranscodeMessage[]> {
    const { client, fetch } = this.#options;
    const token = await client.tokens.get(TIMEOUT_MS);
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await fetch(client.address.http('transcodes'), { headers, signal });
    if (answer.status === 401) client.tokens.refuse(token);
    if (!answer.ok) throw new RealtimeError('http', `polling was answered with ${answer.status}`);
    const body: unknown = await answer.json();
    const transcodes = isFields(body) ? body['transcodes'] : undefined;
    if (!Array.isArray(transcodes)) throw new RealtimeError('http', 'polling was answered with something else');
    return transcodes.filter(isTranscode);
  }
}

function isTranscode(value: unknown): value is TranscodeMessage {
  return isFields(value) && TYPES.includes(value['type']) && checkMessage(value, String(value['type'])) === null;
}

function asHttpError(cause: unknown): RealtimeError {
  return cause instanceof RealtimeError ? cause : new RealtimeError('http', 'polling failed', { cause });
}
