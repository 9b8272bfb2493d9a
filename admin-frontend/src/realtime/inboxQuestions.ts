import type { RealtimeClient } from './client';
import type { Clock, TimerId } from './clock';
import type { BrowserEnvironment } from './environment';
import type { InboxError } from './inboxApi';
import { isMessage } from './messages';
import { Places } from './places';

interface InboxQuestionsOptions {
  client: RealtimeClient;
  environment: BrowserEnvironment;
  clock: Clock;
  /** Asks for the count; returns what went wrong, or up to where was counted. */
  ask: (signal: AbortSignal) => Promise<InboxError | Places>;
  /** A connection begins: what is told next is taken as it is. */
  connected: () => void;
  /** Something was missed for good. */
  lost: () => void;
}

const DOWN_MS = 30_000;
const OLD_MS = 60_000;
const FIRST_WAIT_MS = 2000;
const BEHIND_MS = 1000;
// Four minutes. What never comes was given up, or is of a time without an inbox.
const BEHIND_TRIES = 8;
const LONGEST_WAIT_MS = 60_000;

/**
 * When the inbox is asked for its count.
 *
 * | when | why |
 * | --- | --- |
 * | a connection begins | changes in between were not announced to this client |
 * | something was missed for good | the count says how much |
 * | 1 s, 2 s, 4 s … after a count that ends before this connection began, eight times | no socket brought what is between, and it will be written |
 * | the page becomes visible again after a minute | notifications that have expired are still counted |
 * | every 30 s while the socket is down and the page is seen | nothing else brings news |
 * | 2 s, 4 s … 60 s after a failure, or when the node said | the inbox was away |
 */
export class InboxQuestions {
  readonly #options: InboxQuestionsOptions;
  readonly #stops: (() => void)[] = [];
  #timer: TimerId | undefined;
  #asking: AbortController | null = null;
  #askedAt: number | null = null;
  #failures = 0;
  #error: InboxError | null = null;
  /** What no socket of ours brought, and a count has to. */
  #due = Places.NONE;
  #behind = 0;

  constructor(options: InboxQuestionsOptions) {
    this.#options = options;
  }

  /** Whether the socket tells what is new. */
  get isUp(): boolean {
    return this.#options.client.snapshot.state === 'open';
  }

  /** Whether there are events that neither the socket brought nor the server has counted. */
  get isBehind(): boolean {
    return !this.#due.isEmpty;
  }

  start(): void {
    const { client, environment, clock, connected, lost } = this.#options;
    this.#stops.push(
      client.on('message', (message) => {
        // Before it are events that are not told of on this connection; with `recovered: true` all were.
        if (isMessage(message, 'connected') && message.recovered !== true) this.#await(message.cursor);
        if (isMessage(message, 'resync')) this.#await(message.cursor);
      }),
      client.on('connected', () => {
        connected();
        this.askNow();
      }),
      client.on('lost', () => {
        lost();
        this.askNow();
      }),
      client.subscribe(() => {
        if (this.#asking === null) this.#schedule();
      }),
      environment.subscribe((event) => {
        const isOld = this.#askedAt !== null && clock.now() - this.#askedAt >= OLD_MS;
        if (event === 'visible' && isOld && this.#error?.kind !== 'off') this.askNow();
        else if (this.#asking === null) this.#schedule();
      }),
    );
  }

  stop(): void {
    for (const stop of this.#stops.splice(0)) stop();
    this.#pause();
  }

  /** Ask now; an answer that is still awaited is not waited for. */
  askNow(): void {
    this.#pause();
    if (this.#stops.length > 0) void this.#ask();
  }

  #await(cursor: string): void {
    this.#due = this.#due.with(Places.of(cursor));
    this.#behind = 0;
  }

  #pause(): void {
    this.#options.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#asking?.abort();
    this.#asking = null;
  }

  async #ask(): Promise<void> {
    const asking = new AbortController();
    this.#asking = asking;
    const outcome = await this.#options.ask(asking.signal);
    if (this.#asking !== asking) return;
    this.#asking = null;
    this.#error = outcome instanceof Places ? null : outcome;
    this.#failures = this.#error === null ? 0 : this.#failures + 1;
    if (outcome instanceof Places) this.#counted(outcome);
    this.#askedAt = this.#options.clock.now();
    this.#schedule();
  }

  #counted(upTo: Places): void {
    this.#behind += 1;
    if (upTo.haveAll(this.#due) || this.#behind > BEHIND_TRIES) this.#due = Places.NONE;
  }

  #schedule(): void {
    const { clock } = this.#options;
    clock.clearTimeout(this.#timer);
    const wait = this.#wait();
    if (wait === null) return;
    this.#timer = clock.setTimeout(
      () => this.askNow(),
      Math.max(0, (this.#askedAt ?? clock.now()) + wait - clock.now()),
    );
  }

  /** How long after the last answer the next question comes, ms; null: when something happens. */
  #wait(): number | null {
    const { state } = this.#options.client.snapshot;
    if (!this.#options.environment.visible || this.#error?.kind === 'off' || this.#error?.kind === 'refused')
      return null;
    if (this.#error !== null) {
      const backOff = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (this.#failures - 1));
      return Math.max(backOff, this.#error.retryAfter ?? 0);
    }
    if (this.isBehind) return BEHIND_MS * 2 ** (this.#behind - 1);
    if (!['waiting', 'offline', 'paused'].includes(state)) return null;
    return this.#askedAt === null ? 0 : DOWN_MS;
  }
}
