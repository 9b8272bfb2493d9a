import { systemClock, type Clock, type TimerId } from './clock';
import { isFields } from './frames';
import { Observable } from './observable';
import { itemOf, type NotificationItem } from './notificationItem';
import { NotificationShelf, type Kept, type KeptStorage } from './notificationShelf';
import type { ServerMessage } from './messages';
import type { Tabs } from './tabs';

export interface NotificationStoreOptions {
  /** Whose they are: another user of the same browser has a history of its own. */
  userKey: string;
  /** How many are kept. Default 200. */
  limit?: number;
  tabs?: Tabs;
  storage?: KeptStorage | null;
  clock?: Clock;
}

const WRITE_EVERY_MS = 200;

interface Snapshot {
  readonly items: readonly NotificationItem[];
  readonly unread: number;
  readonly muted: boolean;
}

/**
 * The notifications of this browser, newest first: kept over reloads, shared by its tabs.
 *
 * Every tab hears the same events and writes to the same storage, and none of them sees the others' writes at once. So
 * what they share only grows: an item that is there stays, one that is read stays read, one that is removed stays
 * removed; whoever finds that storage has less than itself writes again, and all come to the same.
 */
export class NotificationStore {
  readonly #userKey: string;
  readonly #limit: number;
  readonly #tabs: Tabs | undefined;
  readonly #clock: Clock;
  readonly #shelf: NotificationShelf;
  readonly #published: Observable<Snapshot>;
  readonly #stops: (() => void)[] = [];
  readonly #addedHere = new Set<string>();
  #kept: Kept;
  #writing: TimerId | undefined;
  #isWritten = true;

  constructor({ userKey, limit = 200, tabs, storage, clock = systemClock }: NotificationStoreOptions) {
    this.#limit = limit;
    this.#tabs = tabs;
    this.#clock = clock;
    this.#shelf = new NotificationShelf(`vsrt:notifications:${userKey}`, limit, storage);
    this.#kept = this.#shelf.read();
    this.#published = new Observable(snapshotOf(this.#kept));
    this.#userKey = userKey;
    this.#stops.push(
      this.#shelf.watch({
        written: () => this.#othersWrote(),
        leaving: () => this.#flush(),
      }),
    );
    if (tabs !== undefined) {
      this.#stops.push(
        tabs.on((message) => {
          if (isFields(message) && message['notifications'] === userKey)
            this.#merge(this.#shelf.parse(message['kept']));
        }),
      );
    }
  }

  get snapshot(): Snapshot {
    return this.#published.value;
  }

  subscribe(listener: () => void): () => void {
    return this.#published.subscribe(listener);
  }

  /**
   * Keep an event that came over this tab's socket; return it if it is news to the person: in this tab for the first
   * time, and not read or removed in any. Null for progress, and for what is no event.
   */
  add(message: ServerMessage): NotificationItem | null {
    const item = itemOf(message, this.#clock.now());
    if (item === null || this.#kept.removed.includes(item.id)) return null;
    const known = this.#kept.items.find(({ id }) => id === item.id);
    if (known === undefined) this.#change({ items: [item] });
    const kept = known ?? this.#kept.items.find(({ id }) => id === item.id);
    // Not kept: it is older than all that are kept, so it was shown before and has been dropped since.
    if (kept === undefined || kept.read || this.#addedHere.has(item.id)) return null;
    this.#addedHere.add(item.id);
    const [oldest] = this.#addedHere;
    if (this.#addedHere.size > 2 * this.#limit && oldest !== undefined) this.#addedHere.delete(oldest);
    return kept;
  }

  /** Mark one as read, or `'all'`. */
  markAsRead(id: string): void {
    const unread = this.#kept.items.filter((item) => !item.read && (id === 'all' || item.id === id));
    if (unread.length > 0) this.#change({ items: unread.map((item) => ({ ...item, read: true })) });
  }

  /** Remove one, or `'all'`. */
  remove(id: string): void {
    const ids = this.#kept.items.filter((item) => id === 'all' || item.id === id).map((item) => item.id);
    if (ids.length > 0) this.#change({ removed: ids });
  }

  setMuted(muted: boolean): void {
    if (muted !== this.#kept.muted.value) this.#change({ muted: { value: muted, at: this.#clock.now() } });
  }

  /** Write what is not written yet, and hear of the other tabs no more. */
  close(): void {
    this.#flush();
    for (const stop of this.#stops.splice(0)) stop();
  }

  /** Take a change of this tab's, and tell the others. */
  #change(change: Partial<Kept>): void {
    const full: Kept = { items: [], removed: [], muted: this.#kept.muted, ...change };
    this.#publish(this.#shelf.merge(this.#kept, full));
    this.#tabs?.post({ notifications: this.#userKey, kept: full });
    this.#writeSoon();
  }

  /** Take what other tabs have; they have written it themselves, unless they have written over one another. */
  #merge(theirs: Kept): void {
    const merged = this.#shelf.merge(this.#kept, theirs);
    if (JSON.stringify(merged) !== JSON.stringify(this.#kept)) this.#publish(merged);
  }

  #othersWrote(): void {
    const stored = this.#shelf.read();
    this.#merge(stored);
    // Written over what we had: it is written again, until all have the same.
    if (JSON.stringify(stored) !== JSON.stringify(this.#kept)) this.#writeSoon();
  }

  #writeSoon(): void {
    if (this.#writing === undefined) this.#write();
    else this.#isWritten = false;
  }

  /** Write now, and for a while no more: when ten thousand events are caught up with, writing each would take minutes. */
  #write(): void {
    this.#isWritten = true;
    this.#merge(this.#shelf.read());
    this.#shelf.write(this.#kept);
    this.#writing = this.#clock.setTimeout(() => {
      this.#writing = undefined;
      if (!this.#isWritten) this.#write();
    }, WRITE_EVERY_MS);
  }

  #flush(): void {
    this.#clock.clearTimeout(this.#writing);
    this.#writing = undefined;
    if (!this.#isWritten) this.#write();
    this.#clock.clearTimeout(this.#writing);
    this.#writing = undefined;
  }

  #publish(kept: Kept): void {
    this.#kept = kept;
    this.#published.value = snapshotOf(kept);
  }
}

function snapshotOf({ items, muted }: Kept): Snapshot {
  return { items, unread: items.filter((item) => !item.read).length, muted: muted.value };
}
