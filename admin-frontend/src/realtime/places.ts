/** A place in a stream: `<stream>.<epoch>-<n>`, ordered by epoch, then by n. */
export interface Position {
  epoch: number;
  n: number;
}

const ID = /^(.+)\.(\d{1,15})-(\d{1,15})$/;

/** Return which stream an event's id names, and the place there; null for what is none. */
export function placeOf(id: string): [stream: string, position: Position] | null {
  const found = ID.exec(id);
  if (found === null) return null;
  const [, stream = '', epoch, n] = found;
  return [stream, { epoch: Number(epoch), n: Number(n) }];
}

export function isAfter(a: Position, b: Position): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.n > b.n);
}

/** A place in each of several streams: up to where something holds. Immutable. */
export class Places {
  static readonly NONE = new Places(new Map());

  private constructor(private readonly byStream: ReadonlyMap<string, Position>) {}

  /** Read `<id>,<id>,…`; what names no place is left out, and of two in one stream the later one counts. */
  static of(ids: string | Iterable<string>): Places {
    const places = new Map<string, Position>();
    for (const id of typeof ids === 'string' ? ids.split(',') : ids) {
      const [stream, position] = placeOf(id) ?? [];
      if (stream === undefined || position === undefined) continue;
      const known = places.get(stream);
      if (known === undefined || isAfter(position, known)) places.set(stream, position);
    }
    return new Places(places);
  }

  /** Whether this event is at or before the place in its stream. */
  reach(id: string): boolean {
    const [stream, position] = placeOf(id) ?? [];
    const place = stream === undefined ? undefined : this.byStream.get(stream);
    return position !== undefined && place !== undefined && !isAfter(position, place);
  }

  /** Whether no place of the other ones is after ours. */
  reachAll(others: Places): boolean {
    return others.ids.every((id) => this.reach(id));
  }

  /** Return the later place of each stream. */
  with(others: Places): Places {
    return Places.of([...this.ids, ...others.ids]);
  }

  /**
   * Whether everything that was published up to the other places is at or before ours. Where the count is the same, so
   * are the events: a stream may be in a new epoch without a new one, and one that counts 0 has none.
   */
  haveAll(others: Places): boolean {
    return [...others.byStream].every(([stream, { epoch, n }]) => {
      const place = this.byStream.get(stream);
      return n === 0 || place?.n === n || this.reach(`${stream}.${epoch}-${n}`);
    });
  }

  get isEmpty(): boolean {
    return this.byStream.size === 0;
  }

  get ids(): string[] {
    return [...this.byStream].map(([stream, { epoch, n }]) => `${stream}.${epoch}-${n}`);
  }

  toString(): string {
    return this.ids.join(',');
  }
}
