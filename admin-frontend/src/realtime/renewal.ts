import type { Clock, TimerId } from './clock';
import { asError } from './errors';
import { expiryOf } from './jwt';
import type { Tokens } from './tokens';

const LONGEST_MARGIN_MS = 60_000;
const MARGIN = 0.2; // of the life that is left
const TOO_LATE_MS = 2000;

/**
 * Replaces the token of an open connection before it expires.
 *
 * What fails is tried again after four fifths of the time left: a few times, ever closer to the end. When that comes
 * all the same, the node closes with 4401.
 */
export class Renewal {
  #current = '';
  #expiry: number | null = null;
  #pending: string | null = null;
  #timer: TimerId | undefined;
  #run = 0;

  constructor(
    private readonly tokens: Tokens,
    private readonly clock: Clock,
    private readonly on: { fresh: (token: string) => void; failed: (error: Error) => void },
  ) {}

  /** The token that the connection stands on. */
  get current(): string {
    return this.#current;
  }

  start(token: string): void {
    this.hold(token);
    this.#schedule(expiryOf(token));
  }

  /** Keep the token of a connection that cannot take another one. */
  hold(token: string): void {
    this.stop();
    this.#current = token;
  }

  /** The node took the token, until `exp` (seconds since 1970). */
  accepted(exp: number): void {
    this.#current = this.#pending ?? this.#current;
    this.#pending = null;
    this.#schedule(exp * 1000);
  }

  /** The node did not take it; the old one stands. */
  refused(): void {
    if (this.#pending === null) return;
    this.tokens.refuse(this.#pending);
    this.#pending = null;
    this.#schedule(this.#expiry);
  }

  stop(): void {
    this.#run += 1;
    this.#pending = null;
    this.clock.clearTimeout(this.#timer);
  }

  #schedule(expiry: number | null): void {
    this.#expiry = expiry;
    this.clock.clearTimeout(this.#timer);
    if (expiry === null) return;
    const left = expiry - this.clock.now();
    // Expired by our clock, and accepted: it is wrong, and would have us refresh for ever.
    if (left < TOO_LATE_MS) return;
    this.#timer = this.clock.setTimeout(() => void this.#renew(), left - Math.min(LONGEST_MARGIN_MS, left * MARGIN));
  }

  async #renew(): Promise<void> {
    const run = this.#run;
    let fresh: string | null = null;
    try {
      fresh = await this.tokens.renew(this.#current);
    } catch (cause) {
      if (run === this.#run) this.on.failed(asError(cause));
    }
    if (run !== this.#run) return;
    if (fresh === null) {
      this.#schedule(this.#expiry);
    } else {
      this.#pending = fresh;
      this.on.fresh(fresh);
    }
  }
}
