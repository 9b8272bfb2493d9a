/** Time, handed in so that a test can hold it. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  setTimeout(callback: () => void, ms: number): TimerId;
  clearTimeout(id: TimerId | undefined): void;
}

export type TimerId = ReturnType<typeof setTimeout>;

// Browsers fire a longer timer at once.
const LONGEST_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (callback, ms) => setTimeout(callback, Math.min(Math.max(0, ms), LONGEST_MS)),
  clearTimeout: (id) => clearTimeout(id),
};

/** Settle as `promise` does, or reject with `late()` after `ms`: whoever answers us may hang for ever. */
export async function withDeadline<T>(promise: Promise<T>, ms: number, clock: Clock, late: () => Error): Promise<T> {
  let timer: TimerId | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = clock.setTimeout(() => {
      reject(late());
    }, ms);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clock.clearTimeout(timer);
  }
}
