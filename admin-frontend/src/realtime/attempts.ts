import { backoff } from './backoff';
import type { Settings } from './options';

// A connection that lasted so long was a good one: failures after it are counted from the beginning.
const STABLE_MS = 10_000;
const MAX_REFUSALS = 2;

/** Counts failures in a row, and decides what follows for the next attempt. */
export class Attempts {
  #failures = 0;
  #refusals = 0;

  constructor(
    private readonly settings: Pick<
      Settings,
      'reconnectInterval' | 'maxReconnectDelay' | 'maxReconnectAttempts' | 'random'
    >,
  ) {}

  get failures(): number {
    return this.#failures;
  }

  get areExhausted(): boolean {
    return this.#failures > this.settings.maxReconnectAttempts;
  }

  /** Whether a token was just refused for the first time: then a fresh one deserves no wait. */
  get isFirstRefusal(): boolean {
    return this.#refusals === 1;
  }

  reset(): void {
    this.#failures = this.#refusals = 0;
  }

  /** A connection ended that had been open for `ms`. Those that end at once, again and again, are failures all the same. */
  lasted(ms: number): void {
    if (ms >= STABLE_MS) this.reset();
  }

  failed(): void {
    this.#failures += 1;
  }

  /** A token was refused, or there is none; false if it is no use to go on. */
  refused(): boolean {
    this.#refusals += 1;
    return this.#refusals <= MAX_REFUSALS;
  }

  /** Return how long to wait now, ms. */
  delay(): number {
    const { reconnectInterval, maxReconnectDelay, random } = this.settings;
    return backoff(Math.max(1, this.#failures), reconnectInterval, maxReconnectDelay, random);
  }
}
