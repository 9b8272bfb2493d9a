import { systemClock, type Clock } from './clock';
import type { Inbox, InboxSnapshot } from './inbox';
import type { InboxFilter, InboxList, InboxListSnapshot } from './inboxList';
import type { ServerMessage } from './messages';
import { itemOf, type NotificationItem } from './notificationItem';
import type { NotificationStore } from './notifications';
import { Observable } from './observable';

/** Where notifications are kept: by the server for all devices of a person, or by this browser for itself. */
export type NotificationSource = 'server' | 'browser';

export interface NotificationSnapshot {
  /** Newest first; from the server, those that have been read from it. */
  readonly items: readonly NotificationItem[];
  readonly unread: number;
  /** Whether toasts are muted, in this browser. */
  readonly muted: boolean;
  readonly source: NotificationSource;
  /** A change that the server did not take, and that was taken back, until `noteFailure()`. */
  readonly failed: InboxSnapshot['failed'];
}

const NOT_ASKED: InboxListSnapshot = { items: [], state: 'idle', hasMore: false, error: null };

/**
 * The notifications of a person: the server's if it keeps an inbox, otherwise those of this browser. Never both at
 * once: what one counts and lists, the other may have deleted, or never had.
 *
 * This browser's own are kept in either case. By them its tabs agree which of them shows a toast, and they are there
 * when a cluster has no inbox any more.
 */
export class NotificationCenter {
  readonly #inbox: Inbox;
  readonly #own: NotificationStore;
  readonly #whole: InboxList;
  readonly #published: Observable<NotificationSnapshot>;
  readonly #clock: Clock;
  readonly #ends: (() => void)[];
  #ownLists = new Map<string, InboxListSnapshot>();

  constructor({ inbox, own, clock = systemClock }: { inbox: Inbox; own: NotificationStore; clock?: Clock }) {
    this.#inbox = inbox;
    this.#own = own;
    this.#clock = clock;
    this.#whole = inbox.watch();
    this.#published = new Observable(this.#now());
    const publish = (): void => {
      this.#published.value = this.#now();
    };
    const publishOwn = (): void => {
      this.#ownLists = new Map();
      publish();
    };
    this.#ends = [inbox.subscribe(publish), own.subscribe(publishOwn), this.#whole.subscribe(publish)];
  }

  get snapshot(): NotificationSnapshot {
    return this.#published.value;
  }

  subscribe(listener: () => void): () => void {
    return this.#published.subscribe(listener);
  }

  get source(): NotificationSource {
    return this.#inbox.snapshot.isOn ? 'server' : 'browser';
  }

  /** Take what came over this tab's socket; return it if it is news to the person, in this tab for the first time. */
  add(message: ServerMessage): NotificationItem | null {
    const own = this.#own.add(message);
    const item = itemOf(message, this.#clock.now());
    if (item !== null) this.#inbox.hear(item);
    return own !== null && this.isUnread(own.id) ? own : null;
  }

  /** Whether nobody has read or deleted it, here or elsewhere, as far as is known. */
  isUnread(id: string): boolean {
    return this.snapshot.items.some((item) => item.id === id && !item.read);
  }

  markAsRead(id: string): void {
    if (this.source === 'server') void this.#inbox.markAsRead(id);
    this.#own.markAsRead(id);
  }

  /** Delete one. */
  remove(id: string): void {
    if (this.source === 'server') void this.#inbox.remove(id);
    this.#own.remove(id);
  }

  setMuted(muted: boolean): void {
    this.#own.setMuted(muted);
  }

  noteFailure(): void {
    this.#inbox.noteFailure();
  }

  // --- lists

  /** Hear of changes of a list; as long as somebody does, it is kept up to date. */
  watch(filter: InboxFilter, listener: () => void): () => void {
    const list = this.#inbox.watch(filter);
    const stops = [list.subscribe(listener), this.subscribe(listener)];
    return () => {
      for (const stop of stops) stop();
      this.#inbox.unwatch(list);
    };
  }

  /** Read older ones. */
  loadMore(filter: InboxFilter): void {
    void this.#inbox.watched(filter)?.loadMore();
  }

  /** Ask the server for everything anew. */
  refresh(): void {
    this.#inbox.refresh();
  }

  /** Return what a list shows; the same object until that changes. */
  list(filter: InboxFilter): InboxListSnapshot {
    if (this.source === 'server') return this.#inbox.watched(filter)?.snapshot ?? NOT_ASKED;
    const key = JSON.stringify([filter.type, filter.unread]);
    const known = this.#ownLists.get(key);
    if (known !== undefined) return known;
    const { items } = this.#own.snapshot;
    const chosen = items.filter(
      ({ type, read }) => (filter.type === undefined || type === filter.type) && !(filter.unread && read),
    );
    const list: InboxListSnapshot = { items: chosen, state: 'ready', hasMore: false, error: null };
    this.#ownLists.set(key, list);
    return list;
  }

  close(): void {
    for (const end of this.#ends.splice(0)) end();
    this.#inbox.unwatch(this.#whole);
    this.#inbox.close();
    this.#own.close();
  }

  #now(): NotificationSnapshot {
    const own = this.#own.snapshot;
    const { isOn, unread, failed } = this.#inbox.snapshot;
    return isOn
      ? { items: this.#whole.snapshot.items, unread, muted: own.muted, source: 'server', failed }
      : { ...own, source: 'browser', failed: null };
  }
}
