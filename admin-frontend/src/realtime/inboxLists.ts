import type { InboxApi } from './inboxApi';
import { InboxList, type InboxFilter } from './inboxList';
import type { InboxMarks } from './inboxMarks';
import type { NotificationItem } from './notificationItem';

/** The lists that somebody looks at: one per filter, however many look. */
export class InboxLists implements Iterable<InboxList> {
  readonly #byFilter = new Map<string, { list: InboxList; watchers: number }>();

  constructor(
    private readonly api: InboxApi,
    private readonly marks: InboxMarks,
  ) {}

  /** Return the list of a filter, and whether it is a new one. */
  watch(filter: InboxFilter): { list: InboxList; isNew: boolean } {
    const entry = this.#byFilter.get(keyOf(filter)) ?? {
      list: new InboxList(filter, this.api, this.marks),
      watchers: 0,
    };
    this.#byFilter.set(keyOf(filter), { list: entry.list, watchers: entry.watchers + 1 });
    return { list: entry.list, isNew: entry.watchers === 0 };
  }

  unwatch(list: InboxList): void {
    const entry = this.#byFilter.get(keyOf(list.filter));
    if (entry?.list !== list) return;
    if (entry.watchers > 1) {
      this.#byFilter.set(keyOf(list.filter), { list, watchers: entry.watchers - 1 });
    } else {
      list.close();
      this.#byFilter.delete(keyOf(list.filter));
    }
  }

  /** Return the list of a filter if anybody watches it. */
  watched(filter: InboxFilter): InboxList | undefined {
    return this.#byFilter.get(keyOf(filter))?.list;
  }

  find(id: string): NotificationItem | undefined {
    for (const list of this) {
      const found = list.find(id);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  *[Symbol.iterator](): Generator<InboxList> {
    for (const { list } of [...this.#byFilter.values()]) yield list;
  }
}

function keyOf({ type = '', unread = false }: InboxFilter): string {
  return `${String(unread)}:${type}`;
}
