import { InboxError, type InboxApi } from './inboxApi';
import type { InboxNotification } from './inboxAnswers';
import type { InboxMarks, Wished } from './inboxMarks';
import { checkMessage, isFields } from './frames';
import { Observable } from './observable';
import { itemOf, momentOf, type NotificationItem } from './notificationItem';
import type { ServerMessage } from './messages';
import type { Places } from './places';

export interface InboxFilter {
  /** Only of this type. */
  type?: string;
  /** Only what is not read. */
  unread?: boolean;
}

/**
 * | state | meaning |
 * | --- | --- |
 * | idle | nobody has asked for it |
 * | loading | its beginning is awaited; what is shown meanwhile may be old |
 * | more | the next page is awaited |
 * | ready | what is shown is what the server has, down to the end of the last page |
 * | failed | the last call failed: `error`; `reload` or `loadMore` try again |
 */
export type InboxListState = 'idle' | 'loading' | 'more' | 'ready' | 'failed';

export interface InboxListSnapshot {
  /** Newest first. */
  readonly items: readonly NotificationItem[];
  readonly state: InboxListState;
  /** Whether there are older ones. */
  readonly hasMore: boolean;
  readonly error: InboxError | null;
}

const PAGE = 30;
const PAGE_MAX = 100;
// A list that is left open for days is begun anew instead.
export const FRESH_MAX = 500;

/** A list of the inbox as it is paged through: what the socket brought on top, then the server's pages. */
export class InboxList {
  readonly #published: Observable<InboxListSnapshot>;
  #fresh: NotificationItem[] = [];
  #pages: NotificationItem[] = [];
  #cursor: string | null = null;
  #state: InboxListState = 'idle';
  #error: InboxError | null = null;
  #asking: AbortController | null = null;
  readonly #readOnes = new WeakMap<NotificationItem, NotificationItem>();

  constructor(
    readonly filter: InboxFilter,
    private readonly api: InboxApi,
    private readonly marks: InboxMarks,
  ) {
    this.#published = new Observable<InboxListSnapshot>({ items: [], state: 'idle', hasMore: false, error: null });
  }

  get snapshot(): InboxListSnapshot {
    return this.#published.value;
  }

  subscribe(listener: () => void): () => void {
    return this.#published.subscribe(listener);
  }

  /** How many events the socket brought since the list was begun. */
  get fresh(): number {
    return this.#fresh.length;
  }

  find(id: string): NotificationItem | undefined {
    return this.#fresh.find((item) => item.id === id) ?? this.#pages.find((item) => item.id === id);
  }

  /**
   * Begin anew, as far down as is shown; what is shown stays until the answer comes.
   *
   * @param counted up to where the server surely has everything: what is not after it and not in the answer is gone.
   */
  async reload(counted: () => Places): Promise<void> {
    const limit = Math.min(PAGE_MAX, Math.max(PAGE, this.#fresh.length + this.#pages.length));
    const place = counted(); // as it is before the question: the answer has all of it
    await this.#ask('loading', { limit }, (items, cursor) => {
      this.#fresh = this.#fresh.filter(({ id }) => !place.reach(id));
      this.#pages = items;
      this.#cursor = cursor;
    });
  }

  /** Read the next page, if there is one and it is not being read. */
  async loadMore(): Promise<void> {
    if (this.#cursor === null || this.#asking !== null) return;
    await this.#ask('more', { limit: PAGE, cursor: this.#cursor }, (items, cursor) => {
      this.#pages = [...this.#pages, ...items];
      this.#cursor = cursor;
    });
  }

  /** Put an event on top that the socket brought, if it belongs here. */
  hear(item: NotificationItem): void {
    const { type, unread } = this.filter;
    const belongs = (type === undefined || item.type === type) && !(unread && item.read);
    if (!belongs || this.find(item.id) !== undefined) return;
    const above = this.#fresh.findIndex((other) => momentOf(other) <= momentOf(item));
    this.#fresh.splice(above < 0 ? this.#fresh.length : above, 0, item);
    if (this.#fresh.length > 2 * FRESH_MAX) this.#fresh.pop();
    this.show();
  }

  /** The server has said what is read and deleted. */
  confirm(): void {
    this.#fresh = this.#fresh.flatMap((item) => this.#marked(item));
    this.#pages = this.#pages.flatMap((item) => this.#marked(item));
    this.show();
  }

  /** What is asked for has changed: show it as if it were done. */
  show(): void {
    const wished = this.marks.asked;
    this.#published.value = {
      items: [...this.#fresh, ...this.#pages].flatMap((item) => this.#asShown(item, wished)),
      state: this.#state,
      hasMore: this.#cursor !== null,
      error: this.#error,
    };
  }

  /** There is no use in asking just now. */
  fail(error: InboxError): void {
    if (this.#state === 'idle') this.#end('failed', error);
  }

  close(): void {
    this.#asking?.abort();
    this.#asking = null;
  }

  async #ask(
    state: 'loading' | 'more',
    page: { limit: number; cursor?: string },
    take: (items: NotificationItem[], cursor: string | null) => void,
  ): Promise<void> {
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    this.#state = state;
    this.show();
    try {
      const { notifications, next_cursor } = await this.api.list({ ...this.filter, ...page }, asking.signal);
      if (this.#asking !== asking) return;
      take(
        notifications.flatMap(itemFrom).flatMap((item) => this.#marked(item)),
        next_cursor,
      );
      const listed = new Set(this.#pages.map(({ id }) => id));
      this.#fresh = this.#fresh.filter(({ id }) => !listed.has(id));
      this.#end('ready', null);
    } catch (cause) {
      if (this.#asking === asking) this.#end('failed', cause instanceof InboxError ? cause : asInboxError(cause));
    }
  }

  #end(state: 'ready' | 'failed', error: InboxError | null): void {
    this.#asking = null;
    this.#state = state;
    this.#error = error;
    this.show();
  }

  /** What the server has said of it since, for good. */
  #marked(item: NotificationItem): NotificationItem[] {
    if (this.marks.isDeleted(item.id)) return [];
    return [!item.read && this.marks.isRead(item.id) ? this.#asRead(item) : item];
  }

  #asShown(item: NotificationItem, { ids, upTo, deleted }: Wished): NotificationItem[] {
    if (deleted.has(item.id)) return [];
    const shown = !item.read && (ids.has(item.id) || upTo.reach(item.id)) ? this.#asRead(item) : item;
    return this.filter.unread && shown.read ? [] : [shown];
  }

  /** The same object every time: a row whose notification is the same need not render. */
  #asRead(item: NotificationItem): NotificationItem {
    const known = this.#readOnes.get(item) ?? { ...item, read: true };
    this.#readOnes.set(item, known);
    return known;
  }
}

/** Return what is shown of a notification; nothing for one that is not as its type demands, as on the socket. */
function itemFrom({ id, type, content, created_at, read }: InboxNotification): NotificationItem[] {
  if (!isFields(content) || content['type'] !== type || checkMessage(content, type) !== null) return [];
  const item = itemOf({ ...content, id } as ServerMessage, Date.parse(created_at));
  return item === null ? [] : [{ ...item, read }];
}

function asInboxError(cause: unknown): InboxError {
  return new InboxError('away', 'the inbox could not be read', null, cause);
}
