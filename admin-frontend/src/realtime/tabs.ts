import { Claims, type ClaimStorage } from './claims';
import { systemClock, type Clock } from './clock';
import { browserEnvironment, type BrowserEnvironment } from './environment';
import { Observable } from './observable';

/** What `BroadcastChannel` has that we use. */
export interface Channel {
  postMessage(message: unknown): void;
  onmessage: ((event: MessageEvent<unknown>) => void) | null;
  close(): void;
}

/** What `navigator.locks` has that we use. */
export type Locks = Pick<LockManager, 'request'>;

export interface TabsOptions {
  openChannel?: ((name: string) => Channel) | null;
  locks?: Locks | null;
  storage?: ClaimStorage | null;
  environment?: BrowserEnvironment;
  clock?: Clock;
}

/**
 * The tabs of one browser that show the same thing, and how they agree.
 *
 * One of them is the leader, for as long as it lives (a Web Lock ends with its tab, however that ends). Where the
 * browser has no locks (a page that came by plain HTTP) every tab leads: what a leader does must bear being done twice.
 */
export class Tabs {
  readonly #channel: Channel | null;
  readonly #leader = new Observable(false);
  readonly #listeners = new Set<(message: unknown) => void>();
  readonly #claims: Claims;
  readonly #stop = new AbortController();

  constructor(
    readonly name: string,
    options: TabsOptions = {},
  ) {
    const locks = options.locks === undefined ? browserLocks() : options.locks;
    const open = options.openChannel === undefined ? browserChannel() : options.openChannel;
    this.#channel = open?.(name) ?? null;
    this.#claims = new Claims({
      name,
      locks,
      storage: options.storage === undefined ? browserStorage() : options.storage,
      environment: options.environment ?? browserEnvironment(),
      clock: options.clock ?? systemClock,
      tell: this.#channel === null ? null : (claim) => this.#channel?.postMessage({ claim }),
    });
    if (this.#channel !== null) {
      this.#channel.onmessage = ({ data }) => {
        this.#heard(data);
      };
    }
    if (locks === null) this.#leader.value = true;
    else void this.#lead(locks);
  }

  get isLeader(): boolean {
    return this.#leader.value;
  }

  /** Hear of a change of `isLeader`. */
  subscribe(listener: () => void): () => void {
    return this.#leader.subscribe(listener);
  }

  /** Tell all other tabs. */
  post(message: unknown): void {
    if (!this.#stop.signal.aborted) this.#channel?.postMessage({ message });
  }

  on(listener: (message: unknown) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Resolve to true in exactly one tab, one that is looked at if there is any: it shows the toast. */
  claim(key: string): Promise<boolean> {
    return this.#stop.signal.aborted ? Promise.resolve(false) : this.#claims.claim(key);
  }

  close(): void {
    this.#stop.abort();
    this.#claims.close();
    this.#listeners.clear();
    if (this.#channel !== null) this.#channel.onmessage = null;
    this.#channel?.close();
    if (this.#leader.value) this.#leader.value = false;
  }

  #heard(data: unknown): void {
    if (typeof data !== 'object' || data === null) return;
    if ('claim' in data) this.#claims.heard(data.claim);
    if ('message' in data) for (const listener of [...this.#listeners]) listener(data.message);
  }

  async #lead(locks: Locks): Promise<void> {
    const { signal } = this.#stop;
    try {
      await locks.request(`${this.name}:leader`, { signal }, async () => {
        if (signal.aborted) return;
        this.#leader.value = true;
        await new Promise((ended) => signal.addEventListener('abort', ended, { once: true }));
      });
    } catch {
      // Closed while it waited for the lock.
    }
  }
}

function browserLocks(): Locks | null {
  // Absent where the page is no secure context, whatever the types say.
  return typeof navigator === 'undefined' ? null : ((navigator as { locks?: LockManager }).locks ?? null);
}

function browserChannel(): ((name: string) => Channel) | null {
  return typeof BroadcastChannel === 'undefined' ? null : (name) => new BroadcastChannel(name);
}

function browserStorage(): ClaimStorage | null {
  return typeof localStorage === 'undefined' ? null : localStorage;
}
