/** What useSyncExternalStore reads. */
export interface Store<T> {
  readonly snapshot: T;
  readonly subscribe: (listener: () => void) => () => void;
}

/**
 * A view of a store that changes at most once per animation frame.
 *
 * Two hundred updates a second would otherwise be two hundred renders, of which a screen shows sixty. A hidden page gets
 * no frames, and so renders nothing until it is seen again.
 */
export class PerFrame<T> implements Store<T> {
  readonly #source: Store<T>;
  readonly #listeners = new Set<() => void>();
  #shown: T;
  #frame = 0;
  #leave: (() => void) | null = null;

  constructor(source: Store<T>) {
    this.#source = source;
    this.#shown = source.snapshot;
  }

  get snapshot(): T {
    // Without subscribers the value may change within a frame.
    return this.#leave ? this.#shown : this.#source.snapshot;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    if (!this.#leave) {
      this.#shown = this.#source.snapshot;
      this.#leave = this.#source.subscribe(this.#schedule);
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stop();
    };
  };

  readonly #schedule = (): void => {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#shown = this.#source.snapshot;
      for (const listener of [...this.#listeners]) listener();
    });
  };

  #stop(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#leave?.();
    this.#leave = null;
  }
}
