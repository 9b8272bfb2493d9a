import { isFields } from './frames';
import { momentOf, type NotificationItem } from './notificationItem';

export type KeptStorage = Pick<Storage, 'getItem' | 'setItem'>;

/** What tabs share. The newest `muted` counts; the rest only grows. */
export interface Kept {
  items: readonly NotificationItem[];
  removed: readonly string[];
  muted: { value: boolean; at: number };
}

const NOTHING: Kept = { items: [], removed: [], muted: { value: false, at: 0 } };

/** Where notifications are kept, and how two versions of them become one. */
export class NotificationShelf {
  readonly #storage: KeptStorage | null;

  constructor(
    private readonly key: string,
    private readonly limit: number,
    storage: KeptStorage | null = typeof localStorage === 'undefined' ? null : localStorage,
  ) {
    this.#storage = storage;
  }

  read(): Kept {
    try {
      return this.parse(JSON.parse(this.#storage?.getItem(this.key) ?? 'null'));
    } catch {
      return NOTHING;
    }
  }

  /** Write, unless it is there already: tabs that answer each other's writes must come to an end. */
  write(kept: Kept): void {
    const text = JSON.stringify(kept);
    try {
      if (this.#storage !== null && this.#storage.getItem(this.key) !== text) this.#storage.setItem(this.key, text);
    } catch {
      // Full or forbidden: they are kept as long as the page is.
    }
  }

  /** Hear of other tabs' writes, and of the end of this page. */
  watch(on: { written: () => void; leaving: () => void }): () => void {
    if (typeof window === 'undefined') return () => undefined;
    const stop = new AbortController();
    const heard = ({ key }: StorageEvent): void => {
      if (key === this.key) on.written();
    };
    window.addEventListener('storage', heard, { signal: stop.signal });
    window.addEventListener('pagehide', on.leaving, { signal: stop.signal });
    return () => {
      stop.abort();
    };
  }

  /** Read what another version of this page, or anybody, may have written. */
  parse(value: unknown): Kept {
    if (!isFields(value)) return NOTHING;
    const { items, removed, muted } = value;
    return {
      items: Array.isArray(items) ? items.filter(isItem) : [],
      removed: Array.isArray(removed) ? removed.filter((id) => typeof id === 'string') : [],
      muted:
        isFields(muted) && typeof muted['value'] === 'boolean' && typeof muted['at'] === 'number'
          ? { value: muted['value'], at: muted['at'] }
          : NOTHING.muted,
    };
  }

  /** Return the two as one; in whatever order versions meet, they come to the same. */
  merge(ours: Kept, theirs: Kept): Kept {
    const removed = [...new Set([...ours.removed, ...theirs.removed])].sort().slice(-2 * this.limit);
    const gone = new Set(removed);
    const items = new Map<string, NotificationItem>();
    for (const item of [...ours.items, ...theirs.items]) {
      if (gone.has(item.id)) continue;
      const known = items.get(item.id);
      items.set(item.id, known === undefined ? item : one(known, item));
    }
    return {
      items: [...items.values()].sort(newestFirst).slice(0, this.limit),
      removed,
      muted: theirs.muted.at > ours.muted.at ? theirs.muted : ours.muted,
    };
  }
}

function one(a: NotificationItem, b: NotificationItem): NotificationItem {
  const read = a.read || b.read;
  const receivedAt = Math.min(a.receivedAt, b.receivedAt);
  return a.read === read && a.receivedAt === receivedAt ? a : { ...a, read, receivedAt };
}

function newestFirst(a: NotificationItem, b: NotificationItem): number {
  return momentOf(b) - momentOf(a) || b.receivedAt - a.receivedAt || (a.id < b.id ? 1 : -1);
}

function isItem(value: unknown): value is NotificationItem {
  if (!isFields(value)) return false;
  const { id, type, level, title, text, message, receivedAt, read } = value;
  return (
    [id, type, level, text].every((field) => typeof field === 'string') &&
    (title === null || typeof title === 'string') &&
    isFields(message) &&
    typeof receivedAt === 'number' &&
    typeof read === 'boolean'
  );
}
