import type { Clock, TimerId } from './clock';

// A node ends a connection (4429) of a user who sends 20 commands in a second, all of its tabs together.
const PER_SECOND = 8;
const SECOND = 1000;

/** Commands to the node: queued in order while there is no connection, and sent no faster than the node allows. */
export class Outbox {
  #waiting: string[] = [];
  #sentAt: number[] = [];
  #write: ((command: string) => void) | null = null;
  #timer: TimerId | undefined;

  constructor(
    private readonly limit: number,
    private readonly clock: Clock,
  ) {}

  get size(): number {
    return this.#waiting.length;
  }

  /** Take a command; false when the queue is full. One that waits already is not taken twice: asking once is enough. */
  offer(command: string): boolean {
    if (this.#waiting.includes(command)) return true;
    if (this.#waiting.length >= this.limit) return false;
    this.#waiting.push(command);
    this.#drain();
    return true;
  }

  /** Send what waits, and what comes, by `write`. */
  open(write: (command: string) => void): void {
    this.#write = write;
    this.#drain();
  }

  /** Keep what waits for the next connection. */
  pause(): void {
    this.#write = null;
    this.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  clear(): void {
    this.#waiting = [];
  }

  #drain(): void {
    if (this.#write === null || this.#timer !== undefined) return;
    while (this.#waiting.length > 0) {
      const now = this.clock.now();
      this.#sentAt = this.#sentAt.filter((at) => at > now - SECOND);
      const [oldest] = this.#sentAt;
      if (oldest !== undefined && this.#sentAt.length >= PER_SECOND) {
        this.#drainLater(oldest + SECOND - now);
        return;
      }
      this.#sentAt.push(now);
      this.#write(this.#waiting.shift() ?? '');
    }
  }

  #drainLater(ms: number): void {
    this.#timer = this.clock.setTimeout(() => {
      this.#timer = undefined;
      this.#drain();
    }, ms);
  }
}
