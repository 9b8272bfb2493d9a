import type { Clock } from './clock';
import { InboxError } from './inboxApi';

const TRIES = 3;
const FIRST_WAIT_MS = 1000;

/** Make a call that may be repeated, again if the inbox was away for a moment; after three times its error is the caller's. */
export async function insist<T>(call: () => Promise<T>, clock: Clock, signal: AbortSignal): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await call();
    } catch (cause) {
      const isAway = cause instanceof InboxError && cause.kind === 'away';
      if (!isAway || tries === TRIES || signal.aborted) throw cause;
      await pause(Math.max(cause.retryAfter ?? 0, FIRST_WAIT_MS * 2 ** (tries - 1)), clock, signal);
    }
  }
}

function pause(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clock.clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
