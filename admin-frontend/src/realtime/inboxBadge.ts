import { isFields } from './frames';
import { Places } from './places';

/** A count of the server's: unread notifications, up to which positions, and after which change by this user. */
export interface Counted {
  unread: number;
  as_of: string;
  revision: number;
}

interface Base {
  unread: number;
  asOf: Places;
  revision: number;
}

/** What the person has asked for and the server has not answered yet. */
export interface Asked {
  /** Being read or deleted. */
  ids: ReadonlySet<string>;
  /** Everything up to here is being read. */
  upTo: Places;
}

// Each is asked about long before: a count of the server's forgets what it has counted.
const HEARD_MAX = 10_000;

/**
 * How many notifications are not read: the server's count, and the events that the socket brought since.
 *
 * The socket is ahead of the database. An event is counted here until a count of the server's has gone past its place,
 * and by the server from then on; so both agree at any moment, however far the database is behind.
 */
export class InboxBadge {
  #base: Base | null = null;
  #isFresh = false;
  readonly #heard = new Set<string>();

  /** The place up to which the server has counted. */
  get asOf(): Places {
    return this.#base?.asOf ?? Places.NONE;
  }

  get revision(): number | null {
    return this.#base?.revision ?? null;
  }

  /** How many events are counted here. */
  get heard(): number {
    return this.#heard.size;
  }

  /** Take the next count as it is, whatever came before: the server may know less than it did. */
  renew(): void {
    this.#isFresh = false;
  }

  /** Take what the server counted; false if something newer is known. */
  take({ unread, as_of, revision }: Counted): boolean {
    const next = { unread, asOf: Places.of(as_of), revision };
    if (this.#isFresh && this.#base !== null && !isNewer(next, this.#base)) return false;
    this.#base = next;
    this.#isFresh = true;
    for (const id of this.#heard) if (next.asOf.reach(id)) this.#heard.delete(id);
    return true;
  }

  /** Count an event that the socket brought, unless the server has. */
  hear(id: string): void {
    if (this.asOf.reach(id)) return;
    this.#heard.add(id);
    const [oldest] = this.#heard;
    if (this.#heard.size > HEARD_MAX && oldest !== undefined) this.#heard.delete(oldest);
  }

  /** Count these no more: they are read or deleted. */
  forget(isOver: (id: string) => boolean): void {
    for (const id of this.#heard) if (isOver(id)) this.#heard.delete(id);
  }

  /** How many are not read if all goes well that is asked for. */
  unread({ ids, upTo }: Asked): number {
    const known = [...ids];
    const heard = [...this.#heard].filter((id) => !ids.has(id) && !upTo.reach(id)).length;
    if (this.#base === null) return heard;
    const { asOf, unread } = this.#base;
    const counted = !upTo.isEmpty && upTo.reachAll(asOf) ? 0 : unread - known.filter((id) => asOf.reach(id)).length;
    return Math.max(0, counted) + heard;
  }
}

function isNewer(next: Base, known: Base): boolean {
  return next.revision > known.revision || (next.revision === known.revision && next.asOf.reachAll(known.asOf));
}

/** Whether another tab said what a server counted. */
export function isCounted(value: unknown): value is Counted {
  return (
    isFields(value) &&
    typeof value['unread'] === 'number' &&
    typeof value['as_of'] === 'string' &&
    typeof value['revision'] === 'number'
  );
}
