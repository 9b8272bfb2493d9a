import type { RealtimeClient } from './client';
import type { Clock, TimerId } from './clock';
import type { BrowserEnvironment } from './environment';
import type { InboxError } from './inboxApi';

interface InboxQuestionsOptions {
  client: RealtimeClient;
  environment: BrowserEnvironment;
  clock: Clock;
  /** Asks for the count; returns what went wrong. */
  ask: (signal: AbortSignal) => Promise<InboxError | null>;
  /** A connection begins: what is told next is taken as it is. */
  connected: () => void;
  /** Something was missed for good. */
  lost: () => void;
}

const DOWN_MS = 30_000;
const OLD_MS = 60_000;
const FIRST_WAIT_MS = 2000;
const LONGEST_WAIT_MS = 60_000;

/**
 * When the inbox is asked for its count.
 *
 * | when | why |
 * | --- | --- |
 * | a connection begins | what was changed meanwhile was told to nobody here |
 * | something was missed for good | the count says how much |
 * | the page is looked at again after a minute | what is over by now is counted until then |
 * | every 30 s while the socket is down and the page is seen | nothing else brings news |
 * | 2 s, 4 s … 60 s after a failure, or when the node said | it was away for a while |
 */
export class InboxQuestions {
  readonly #options: InboxQuestionsOptions;
  readonly #stops: (() => void)[] = [];
  #timer: TimerId | undefined;
  #asking: AbortController | null = null;
  #askedAt: number | null = null;
  #failures = 0;
  #error: InboxError | null = null;

  constructor(options: InboxQuestionsOptions) {
    this.#options = options;
  }

  /** Whether the socket tells what is new. */
  get isUp(): boolean {
    return this.#options.client.snapshot.state === 'open';
  }

  start(): void {
    const { client, environment, clock, connected, lost } = this.#options;
    this.#stops.push(
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

  #pause(): void {
    this.#options.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#asking?.abort();
    this.#asking = null;
  }

  async #ask(): Promise<void> {
    const asking = new AbortController();
    this.#asking = asking;
    const error = await this.#options.ask(asking.signal);
    if (this.#asking !== asking) return;
    this.#asking = null;
    this.#error = error;
    this.#failures = error === null ? 0 : this.#failures + 1;
    this.#askedAt = this.#options.clock.now();
    this.#schedule();
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
    if (!['waiting', 'offline', 'paused'].includes(state)) return null;
    return this.#askedAt === null ? 0 : DOWN_MS;
  }
}
