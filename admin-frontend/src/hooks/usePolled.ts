import { useCallback, useEffect, useMemo, useRef, useState } from 'react';

export interface Polled<T> {
  /** What was last read; it stays while reading fails. */
  data: T | null;
  /** What was read lately, oldest first. */
  past: readonly T[];
  /** Why the last attempt failed; null when it did not. */
  error: unknown;
  refresh: () => void;
  /** Take what was heard in another way and is newer than anything read: it stands for the newest that was read. */
  take: (data: T) => void;
}

type State<T> = Omit<Polled<T>, 'refresh' | 'take'>;

/**
 * Read something every `interval` ms while the page is visible, and at once when it becomes so; keep the last few.
 *
 * Without `read` nothing happens yet.
 */
export function usePolled<T>(
  read: ((signal: AbortSignal) => Promise<T>) | null,
  interval: number,
  kept = 1,
): Polled<T> {
  const [state, setState] = useState<State<T>>({ data: null, past: [], error: null });
  const poke = useRef<() => void>(() => undefined);
  const taken = useRef(0);

  useEffect(() => {
    if (read === null) return;
    const stop = new AbortController();
    const { signal } = stop;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let reading = false;

    const poll = async (): Promise<void> => {
      clearTimeout(timer);
      if (reading || document.hidden) return;
      reading = true;
      const takenBefore = taken.current;
      try {
        const data = await read(signal);
        // An answer to an older request may be older than what has arrived since.
        if (!signal.aborted && taken.current === takenBefore) {
          setState(({ past }) => ({ data, past: [...past, data].slice(-kept), error: null }));
        }
      } catch (error) {
        if (!signal.aborted) setState((last) => ({ ...last, error }));
      }
      reading = false;
      if (!signal.aborted) timer = setTimeout(now, interval);
    };
    const now = (): void => void poll();

    poke.current = now;
    document.addEventListener('visibilitychange', now, { signal });
    now();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [read, interval, kept]);

  const refresh = useCallback(() => {
    poke.current();
  }, []);
  const take = useCallback((data: T) => {
    taken.current += 1;
    setState(({ past }) => ({ data, past: [...past.slice(0, -1), data], error: null }));
  }, []);
  return useMemo(() => ({ ...state, refresh, take }), [state, refresh, take]);
}
