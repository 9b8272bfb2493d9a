export type EnvironmentEvent = 'online' | 'offline' | 'visible' | 'hidden';

/** What the browser says of the network and of the page. */
export interface BrowserEnvironment {
  readonly online: boolean;
  readonly visible: boolean;
  /** Call back once what was just changed is on the screen, with the ms that took; of a hidden page that may be never. */
  afterPaint(callback: (ms: number) => void): void;
  subscribe(listener: (event: EnvironmentEvent) => void): () => void;
}

/** Return the page's own environment; outside of a browser, one that is always online and visible. */
export function browserEnvironment(): BrowserEnvironment {
  if (typeof window === 'undefined' || typeof document === 'undefined') {
    return { online: true, visible: true, afterPaint: (callback) => callback(0), subscribe: () => () => undefined };
  }
  return {
    // Only "offline" is reliable.
    get online() {
      return navigator.onLine;
    },
    get visible() {
      return document.visibilityState === 'visible';
    },
    afterPaint: (callback) => {
      const asked = performance.now();
      // The first comes before the next paint, the second after it.
      requestAnimationFrame(() => requestAnimationFrame(() => callback(performance.now() - asked)));
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
