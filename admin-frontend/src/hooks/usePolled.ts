import { useCallback, useEffect, useRef, useState } from 'react';

export interface Polled<T> {
  /** What was last read; it stays while reading fails. */
  data: T | null;
  /** What was read lately, oldest first. */
  past: readonly T[];
  /** Why the last attempt failed; null when it did not. */
  error: unknown;
  refresh: () => void;
}

/** Read something every `interval` ms while the page is seen, and at once when it is seen again; keep the last few. */
export function usePolled<T>(read: (signal: AbortSignal) => Promise<T>, interval: number, kept = 1): Polled<T> {
  const [state, setState] = useState<Omit<Polled<T>, 'refresh'>>({ data: null, past: [], error: null });
  const poke = useRef<() => void>(() => undefined);

  useEffect(() => {
    const stop = new AbortController();
    const { signal } = stop;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let reading = false;

    const poll = async (): Promise<void> => {
      clearTimeout(timer);
      if (reading || document.hidden) return;
      reading = true;
      try {
        const data = await read(signal);
        if (!signal.aborted) {
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
  return { ...state, refresh };
}
