import { Address } from './address';
import { Attempts } from './attempts';
import { CloseCode } from './closeCodes';
import { closePolicy, type ClosePolicy } from './closePolicy';
import type { TimerId } from './clock';
import { CursorMemory } from './cursorMemory';
import { Emitter } from './emitter';
import type { EnvironmentEvent } from './environment';
import { asError, asRealtimeError, RealtimeError } from './errors';
import { announce, type RealtimeEvents } from './events';
import type { Received } from './frames';
import { isMessage, type Connected, type ServerMessage } from './messages';
import { Observable } from './observable';
import { openTransport } from './openTransport';
import { settingsOf, type RealtimeOptions, type Settings } from './options';
import { Outbox } from './outbox';
import { Renewal } from './renewal';
import { BEFORE, openBy, statsOf, type ConnectionSnapshot } from './snapshot';
import { NO_TOKEN, Tokens } from './tokens';
import type { Close, Transport } from './transport';
import { Ways } from './ways';

const FRAME_MAX_BYTES = 4096;
// After the browser has reported a change, a dead connection should be noticed sooner than after a whole heartbeat.
const PROBE_MS = 5000;

/**
 * The connection to the cluster, kept up for as long as it is wanted.
 *
 *     idle ── connect() ──▶ connecting ── `connected` ──▶ open
 *                               ▲   │                      │
 *                        delay  │   └───── ended ◀─────────┘
 *                               │            │
 *            waiting ◀──────────┴── by the close code (closePolicy.ts), attempts left
 *            paused  ◀───────────── the browser is offline; goes on when it is online again
 *            offline ◀───────────── no attempts left; goes on by retry(), or when the page becomes online or visible
 *            stopped ◀───────────── disconnect(), or a code that says stop
 */
export class RealtimeClient {
  readonly tokens: Tokens;
  readonly address: Address;
  readonly #settings: Settings;
  readonly #events = new Emitter<RealtimeEvents>();
  readonly #attempts: Attempts;
  readonly #ways: Ways;
  readonly #state = new Observable(BEFORE);
  readonly #outbox: Outbox;
  readonly #renewal: Renewal;
  readonly #memory: CursorMemory;
  #connection: Transport | null = null;
  #leaveEnvironment: (() => void) | null = null;
  #timer: TimerId | undefined;
  #lastClose: Close | null = null;
  #mayHurry = false;
  #run = 0; // an attempt that finds another number after waiting has been overtaken

  constructor(options: RealtimeOptions) {
    this.#settings = settingsOf(options);
    const { clock, url, sendQueueLimit, cursorStorage, isAdmin, streamAfter } = this.#settings;
    this.#attempts = new Attempts(this.#settings);
    this.#ways = new Ways(streamAfter, clock);
    this.#memory = new CursorMemory(cursorStorage, isAdmin);
    this.tokens = new Tokens(this.#settings, clock);
    this.address = new Address(url);
    this.#outbox = new Outbox(sendQueueLimit, clock);
    this.#renewal = new Renewal(this.tokens, clock, {
      fresh: (token) => this.#connection?.send(JSON.stringify({ type: 'refresh', token })),
      failed: (error) => this.#report(error),
    });
  }

  get snapshot(): ConnectionSnapshot {
    return this.#state.value;
  }

  subscribe(listener: () => void): () => void {
    return this.#state.subscribe(listener);
  }

  on<K extends keyof RealtimeEvents>(event: K, listener: RealtimeEvents[K]): () => void {
    return this.#events.on(event, listener);
  }

  /** Begin, unless it has begun. */
  connect(): void {
    if (['idle', 'offline', 'stopped'].includes(this.snapshot.state)) this.#begin();
  }

  /** End, and stay so. */
  disconnect(): void {
    if (this.snapshot.state === 'idle' || this.snapshot.state === 'stopped') return;
    const close = { code: CloseCode.NORMAL, reason: 'disconnected by the page' };
    const wasOpen = this.snapshot.state === 'open';
    if (wasOpen) this.#lastClose = close;
    this.#rest('stopped');
    if (wasOpen) this.#events.emit('disconnected', { ...close, willReconnect: false });
  }

  /** Try at once, with all attempts left. */
  retry(): void {
    if (this.snapshot.state !== 'open' && this.snapshot.state !== 'connecting') this.#begin();
  }

  /** Send a command, or keep it for the next connection; false if it was not taken: queue full, stopped, too large. */
  send(command: string): boolean {
    if (['idle', 'stopped', 'offline'].includes(this.snapshot.state)) return false;
    if (new TextEncoder().encode(command).length > FRAME_MAX_BYTES) {
      this.#report(new RealtimeError('command', `a command is larger than ${FRAME_MAX_BYTES} bytes`));
      return false;
    }
    return this.#outbox.offer(command);
  }

  // --- attempts

  #begin(): void {
    this.#attempts.reset();
    this.#leaveEnvironment ??= this.#settings.environment.subscribe((event) => this.#environmentChanged(event));
    this.#attempt();
  }

  #attempt(): void {
    this.#release();
    if (!this.#settings.environment.online) {
      this.#set({ state: 'paused', nextAttemptAt: null });
      return;
    }
    this.#set({ state: 'connecting', attempt: this.#attempts.failures, nextAttemptAt: null });
    const run = this.#run;
    this.tokens
      .get(this.#settings.connectTimeout)
      .then((token) => {
        if (run === this.#run) this.#open(token);
      })
      .catch((cause: unknown) => {
        if (run === this.#run) this.#failed(asError(cause));
      });
  }

  #open(token: string): void {
    this.#memory.recall(token);
    const way = this.#ways.next;
    this.#set({ way });
    const connection: Transport = openTransport(way, this.#settings, this.address, {
      token,
      since: this.#memory.cursors.since,
      on: {
        received: (received) => this.#received(received, connection),
        ended: (close) => this.#ended(connection, close),
      },
    });
    this.#connection = connection;
    if (way === 'socket') {
      this.#renewal.start(token);
    } else {
      this.#renewal.hold(token);
      this.#timer = this.#settings.clock.setTimeout(() => this.#attempt(), this.#ways.untilSocket);
    }
  }

  /** No socket was made. */
  #failed(error: Error): void {
    if (!(error instanceof RealtimeError) || error.details.code !== NO_TOKEN) {
      this.#attempts.failed();
      this.#reconnect(this.#attempts.delay(), true);
    } else {
      // As if a node had said so.
      this.#lastClose = { code: CloseCode.UNAUTHENTICATED, reason: error.message };
      if (this.#attempts.refused()) this.#reconnect(this.#attempts.delay(), true);
      else this.#rest('stopped');
    }
    this.#report(error);
  }

  // --- ends

  #ended(connection: Transport, close: Close): void {
    const { connectedAt, retryAfter } = connection;
    const wasConnected = connectedAt !== null;
    if (wasConnected) this.#attempts.lasted(this.#settings.clock.now() - connectedAt);
    const otherWay = this.#ways.ended(this.snapshot.way, close, wasConnected);
    const policy = otherWay ? 'atOnce' : closePolicy(close.code);
    if (policy === 'token') this.tokens.refuse(this.#renewal.current);
    this.#release();
    this.#lastClose = close;
    this.#follow(policy, wasConnected || otherWay, retryAfter);
    const { state } = this.snapshot;
    this.#events.emit('disconnected', { ...close, willReconnect: state !== 'stopped' && state !== 'offline' });
  }

  /** Do what closePolicy.ts promises. */
  #follow(policy: ClosePolicy, wasConnected: boolean, retryAfter: number | null): void {
    if (policy === 'stop' || (policy === 'token' && !this.#attempts.refused())) {
      this.#rest('stopped');
    } else if (policy === 'token') {
      this.#reconnect(this.#attempts.isFirstRefusal ? 0 : this.#attempts.delay(), true);
    } else if (policy === 'atOnce' && wasConnected) {
      this.#reconnect(0, true);
    } else {
      const isTold = policy === 'told' && retryAfter !== null;
      // Being sent away in an orderly way is not a failure.
      if (!isTold || !wasConnected) this.#attempts.failed();
      this.#reconnect(isTold ? retryAfter : Math.max(this.#attempts.delay(), retryAfter ?? 0), policy === 'backOff');
    }
  }

  #reconnect(delay: number, mayHurry: boolean): void {
    this.#release();
    const { autoReconnect, environment, clock } = this.#settings;
    if (!autoReconnect || this.#attempts.areExhausted) {
      this.#rest('offline');
    } else if (!environment.online) {
      this.#set({ state: 'paused', nextAttemptAt: null });
    } else {
      this.#mayHurry = mayHurry;
      this.#set({ state: 'waiting', attempt: this.#attempts.failures, nextAttemptAt: clock.now() + delay });
      this.#timer = clock.setTimeout(() => this.#attempt(), delay);
    }
  }

  /** Try no more. Given up, the page's news still wake us; stopped, they do not. */
  #rest(state: 'offline' | 'stopped'): void {
    this.#release();
    this.#outbox.clear();
    if (state === 'stopped') {
      this.#leaveEnvironment?.();
      this.#leaveEnvironment = null;
    }
    this.#set({ state, nextAttemptAt: null, attempt: this.#attempts.failures });
  }

  #release(): void {
    this.#run += 1;
    this.#settings.clock.clearTimeout(this.#timer);
    this.#renewal.stop();
    this.#outbox.pause();
    this.#connection?.close();
    this.#connection = null;
  }

  #environmentChanged(event: EnvironmentEvent): void {
    const { state } = this.snapshot;
    if (event === 'hidden') return;
    if (state === 'open') {
      // The browser may be wrong about the network, and the socket may be dead: a heartbeat tells.
      this.#connection?.probe(Math.min(PROBE_MS, this.#settings.heartbeatTimeout));
    } else if (event === 'offline') {
      if (state === 'connecting' || state === 'waiting') this.#reconnect(0, true);
    } else if (state === 'paused' || (state === 'offline' && this.#settings.autoReconnect)) {
      this.#begin();
    } else if (state === 'waiting' && this.#mayHurry) {
      this.#attempt();
    }
  }

  // --- frames

  #received(received: Received, connection: Transport): void {
    if (received.kind === 'message') {
      this.#take(received.message, connection);
    } else if (received.kind === 'error') {
      if (received.id !== undefined) this.#memory.cursors.advance(received.id);
      this.#report(received.error);
    }
  }

  #take(message: ServerMessage, connection: Transport): void {
    const id = 'id' in message && typeof message.id === 'string' ? message.id : null;
    if (id !== null && !this.#memory.cursors.advance(id)) return;
    this.#obey(message, connection);
    announce(this.#events, message);
    // After the listeners: what they store must not be older than the cursor.
    if (id !== null || 'cursor' in message) this.#memory.remember();
  }

  /** Do what the node's own messages ask for. */
  #obey(message: ServerMessage, connection: Transport): void {
    if (isMessage(message, 'connected')) this.#welcome(message, connection);
    else if (isMessage(message, 'stats')) this.#set({ stats: statsOf(message) });
    else if (isMessage(message, 'reconnect')) connection.retryAfter = message.retry_after_ms;
    else if (isMessage(message, 'refreshed')) this.#renewal.accepted(message.exp);
    else if (isMessage(message, 'resync')) this.#memory.cursors.move(message.cursor);
    else if (isMessage(message, 'error') && message.code === 'invalid_token') this.#renewal.refused();
  }

  #welcome(message: Connected, connection: Transport): void {
    connection.welcomed(message.heartbeat_interval_ms);
    this.#memory.cursors.reset(message.cursor);
    this.#set(openBy(message));
    this.#outbox.open((command) => connection.send(command));
  }

  #set(change: Partial<ConnectionSnapshot>): void {
    this.#state.value = { ...this.#state.value, lastClose: this.#lastClose, ...change };
  }

  #report(error: Error): void {
    this.#events.emit('error', asRealtimeError(error));
  }
}
