import type { Clock, TimerId } from './clock';
import type { BrowserEnvironment } from './environment';
import type { Locks } from './tabs';

export type ClaimStorage = Pick<Storage, 'getItem' | 'setItem'>;

interface ClaimsOptions {
  name: string;
  locks: Locks | null;
  storage: ClaimStorage | null;
  environment: BrowserEnvironment;
  clock: Clock;
  /** Says something to the other tabs; null where they cannot be reached. */
  tell: ((claim: unknown) => void) | null;
}

const HIDDEN_WAITS_MS = 300;
const BIDDING_MS = 100;
// Enough for every process to see the others' storage and messages, which takes milliseconds.
const HELD_MS = 10_000;
const REMEMBERED = 300;

/**
 * Decides which tab shows what: each key goes to one tab.
 *
 * | means | prevents |
 * | --- | --- |
 * | a hidden tab waits first | a toast in a tab that nobody sees |
 * | a Web Lock per key, held for a while | two tabs that ask at the same moment; storage alone is no lock, since processes see each other's writes late |
 * | keys remembered in storage | the same event again after a reload, or in a tab that was away |
 * | bids over the channel, lowest wins | no Web Locks: a page that came by plain HTTP |
 */
export class Claims {
  readonly #options: ClaimsOptions;
  readonly #me = Math.random();
  readonly #taken = new Set<string>();
  readonly #bids = new Map<string, number>(); // lowest bid of another tab, by key
  readonly #timers = new Map<TimerId, () => void>();
  #isClosed = false;

  constructor(options: ClaimsOptions) {
    this.#options = options;
  }

  async claim(key: string): Promise<boolean> {
    if (!this.#options.environment.visible) await this.#wait(HIDDEN_WAITS_MS);
    if (this.#isClosed || this.#isTaken(key)) return false;
    return this.#options.locks === null ? this.#bid(key) : this.#lock(key, this.#options.locks);
  }

  /** Another tab says something. */
  heard(claim: unknown): void {
    if (typeof claim !== 'object' || claim === null || !('key' in claim) || typeof claim.key !== 'string') return;
    if (!('bid' in claim) || typeof claim.bid !== 'number') this.#remember(claim.key);
    else this.#bids.set(claim.key, Math.min(claim.bid, this.#bids.get(claim.key) ?? Infinity));
  }

  close(): void {
    this.#isClosed = true;
    for (const [timer, resolve] of this.#timers) {
      this.#options.clock.clearTimeout(timer);
      resolve();
    }
    this.#timers.clear();
  }

  #lock(key: string, locks: Locks): Promise<boolean> {
    return new Promise((resolve) => {
      locks
        .request(`${this.#options.name}:claim:${key}`, { ifAvailable: true }, async (lock) => {
          const isMine = lock !== null && !this.#isTaken(key);
          if (isMine) this.#take(key);
          resolve(isMine);
          if (isMine) await this.#wait(HELD_MS);
        })
        // Locks may be forbidden where they exist, in a sandboxed frame for example.
        .catch(() => resolve(this.#bid(key)));
    });
  }

  async #bid(key: string): Promise<boolean> {
    this.#options.tell?.({ key, bid: this.#me });
    await this.#wait(BIDDING_MS);
    const isMine = !this.#isClosed && !this.#isTaken(key) && this.#me < (this.#bids.get(key) ?? Infinity);
    this.#bids.delete(key);
    if (isMine) this.#take(key);
    return isMine;
  }

  #take(key: string): void {
    this.#remember(key);
    this.#options.tell?.({ key });
    try {
      this.#options.storage?.setItem(this.#storageKey, JSON.stringify([...this.#stored(), key].slice(-REMEMBERED)));
    } catch {
      // Full or forbidden: a reload may then show it once more.
    }
  }

  #remember(key: string): void {
    this.#bids.delete(key);
    this.#taken.add(key);
    const [oldest] = this.#taken;
    if (this.#taken.size > REMEMBERED && oldest !== undefined) this.#taken.delete(oldest);
  }

  #isTaken(key: string): boolean {
    return this.#taken.has(key) || this.#stored().includes(key);
  }

  #stored(): unknown[] {
    try {
      const stored: unknown = JSON.parse(this.#options.storage?.getItem(this.#storageKey) ?? '[]');
      return Array.isArray(stored) ? stored : [];
    } catch {
      return [];
    }
  }

  get #storageKey(): string {
    return `${this.#options.name}:claimed`;
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isClosed) {
        resolve();
        return;
      }
      const timer = this.#options.clock.setTimeout(() => {
        this.#timers.delete(timer);
        resolve();
      }, ms);
      this.#timers.set(timer, resolve);
    });
  }
}
