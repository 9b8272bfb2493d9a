export type EnvironmentEvent = 'online' | 'offline' | 'visible' | 'hidden';

/** What the browser says of the network and of the page. */
export interface BrowserEnvironment {
  readonly online: boolean;
  readonly visible: boolean;
  subscribe(listener: (event: EnvironmentEvent) => void): () => void;
}

/** Return the page's own environment; outside of a browser, one that is always online and visible. */
export function browserEnvironment(): BrowserEnvironment {
  if (typeof window === 'undefined' || typeof document === 'undefined') {
    return { online: true, visible: true, subscribe: () => () => undefined };
  }
  return {
    // Only its "no" can be relied on.
    get online() {
      return navigator.onLine;
    },
    get visible() {
      return document.visibilityState === 'visible';
    },
    subscribe: subscribeToPage,
  };
}

function subscribeToPage(listener: (event: EnvironmentEvent) => void): () => void {
  const stop = new AbortController();
  const { signal } = stop;
  for (const event of ['online', 'offline'] as const) {
    window.addEventListener(event, () => listener(event), { signal });
  }
  document.addEventListener(
    'visibilitychange',
    () => listener(document.visibilityState === 'visible' ? 'visible' : 'hidden'),
    { signal },
  );
  return () => {
    stop.abort();
  };
}
