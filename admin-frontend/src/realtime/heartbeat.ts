import type { Clock, TimerId } from './clock';

// A timer this late means that the page slept: what came meanwhile has not been read yet.
const SLEPT_MS = 1000;

/**
 * Detects a dead connection: sends a heartbeat regularly, and expects to receive something within a deadline.
 *
 * Anything received counts, not only the answer: a node that brings a slow client up to date reads nothing from it
 * meanwhile. Heartbeats are sent even while frames arrive, since the node expects them too.
 */
export class Heartbeat {
  #interval: number;
  #timer: TimerId | undefined;
  #deadline: TimerId | undefined;
  #dueAt = Infinity;

  constructor(
    private readonly clock: Clock,
    interval: number,
    private readonly timeout: number,
    private readonly on: { ask: () => void; dead: () => void },
  ) {
    this.#interval = interval;
  }

  start(interval = this.#interval): void {
    this.#interval = interval;
    this.clock.clearTimeout(this.#timer);
    this.#timer = this.clock.setTimeout(() => {
      this.probe();
      this.start();
    }, interval);
  }

  heard(): void {
    this.clock.clearTimeout(this.#deadline);
    this.#dueAt = Infinity;
  }

  /** Ask now; dead if nothing is heard within `timeout` ms. An earlier deadline that runs already stands. */
  probe(timeout = this.timeout): void {
    this.on.ask();
    if (this.clock.now() + timeout < this.#dueAt) this.#expect(timeout, true);
  }

  stop(): void {
    this.clock.clearTimeout(this.#timer);
    this.heard();
  }

  #expect(timeout: number, mayHaveSlept: boolean): void {
    this.clock.clearTimeout(this.#deadline);
    const dueAt = this.clock.now() + timeout;
    this.#dueAt = dueAt;
    this.#deadline = this.clock.setTimeout(() => {
      if (mayHaveSlept && this.clock.now() - dueAt > SLEPT_MS) {
        // Once: in a hidden page every timer is late, and a dead connection must be found out there too.
        this.on.ask();
        this.#expect(timeout, false);
      } else {
        this.on.dead();
      }
    }, timeout);
  }
}
