import type { Asked } from './inboxBadge';
import { Places } from './places';

/** What was read or deleted, as the frame `inbox` says it. */
export interface Change {
  read?: readonly string[];
  deleted?: readonly string[];
  up_to?: readonly string[];
}

export interface Wished extends Asked {
  deleted: ReadonlySet<string>;
}

// Only needed for what arrives after the change was announced: pages requested before it, events on a socket that lags.
const KEPT = 2000;

/** What is known to be read and deleted, and what has been asked for: the latter is shown at once, and taken back if it fails. */
export class InboxMarks {
  readonly #read = new Set<string>();
  readonly #deleted = new Set<string>();
  #upTo = Places.NONE;
  readonly #asked = new Set<Change>();

  isRead(id: string): boolean {
    return this.#read.has(id) || this.#deleted.has(id) || this.#upTo.reach(id);
  }

  isDeleted(id: string): boolean {
    return this.#deleted.has(id);
  }

  /** Take the server's word. */
  confirm({ read = [], deleted = [], up_to = [] }: Change): void {
    for (const id of read) keep(this.#read, id);
    for (const id of deleted) keep(this.#deleted, id);
    this.#upTo = this.#upTo.with(Places.of(up_to));
  }

  /** Show a change as if it were made, until the returned function is called. */
  ask(change: Change): () => void {
    this.#asked.add(change);
    return () => {
      this.#asked.delete(change);
    };
  }

  /** Whether it is being read or deleted. */
  isAsked(id: string): boolean {
    const { ids, upTo, deleted } = this.asked;
    return ids.has(id) || upTo.reach(id) || deleted.has(id);
  }

  /** What has been asked for and is not known to be done. */
  get asked(): Wished {
    const changes = [...this.#asked];
    const upTo = Places.of(changes.flatMap(({ up_to = [] }) => up_to));
    return {
      ids: new Set(changes.flatMap(({ read = [] }) => read).filter((id) => !this.isRead(id))),
      upTo: this.#upTo.reachAll(upTo) ? Places.NONE : upTo,
      deleted: new Set(changes.flatMap(({ deleted = [] }) => deleted)),
    };
  }
}

function keep(ids: Set<string>, id: string): void {
  ids.add(id);
  const [oldest] = ids;
  if (ids.size > KEPT && oldest !== undefined) ids.delete(oldest);
}
