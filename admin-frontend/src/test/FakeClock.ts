import type { Clock, TimerId } from '../realtime';

interface Timer {
  at: number;
  callback: () => void;
}

/** Time that stands still until it is told to go on. */
export class FakeClock implements Clock {
  #now = Date.parse('2026-01-31T12:00:00Z');
  readonly #timers = new Map<TimerId, Timer>();

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, ms: number): TimerId {
    const id = {} as TimerId;
    this.#timers.set(id, { at: this.#now + Math.max(0, ms), callback });
    return id;
  }

  clearTimeout(id: TimerId | undefined): void {
    if (id !== undefined) this.#timers.delete(id);
  }

  /** How many timers wait: what has ended must leave none behind. */
  get waiting(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (let next = this.#next(end); next !== null; next = this.#next(end)) {
      const [id, { at, callback }] = next;
      this.#timers.delete(id);
      this.#now = Math.max(this.#now, at);
      callback();
    }
    this.#now = end;
  }

  /** Go on as a page does that was asleep: the time is gone, and only then timers run. */
  sleep(ms: number): void {
    this.#now += ms;
    this.advance(0);
  }

  #next(end: number): [TimerId, Timer] | null {
    const due = [...this.#timers].filter(([, { at }]) => at <= end);
    return due.sort(([, a], [, b]) => a.at - b.at)[0] ?? null;
  }
}
