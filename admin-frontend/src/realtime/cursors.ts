import { isAfter, placeOf, type Position } from './places';

/** Where this client stands in every stream that it hears. A constant size: of the ids seen, the last one tells all. */
export class Cursors {
  #positions = new Map<string, Position>();

  constructor(since: string | null = null) {
    if (since !== null) this.reset(since);
  }

  /** Begin where a `connected` frame says, in these streams and no others. */
  reset(cursor: string): void {
    this.#positions = new Map();
    this.move(cursor);
  }

  /** Go where a `resync` says, in its stream; backwards too. */
  move(cursor: string): void {
    for (const id of cursor.split(',')) {
      const parsed = placeOf(id);
      if (parsed !== null) this.#positions.set(...parsed);
    }
  }

  /** Take note of an event; false if it was seen before. An id that names no place is new every time. */
  advance(id: string): boolean {
    const parsed = placeOf(id);
    if (parsed === null) return true;
    const [stream, position] = parsed;
    const last = this.#positions.get(stream);
    if (last !== undefined && !isAfter(position, last)) return false;
    this.#positions.set(stream, position);
    return true;
  }

  /** What to reconnect with: the last id of each stream; null before the first connection. */
  get since(): string | null {
    if (this.#positions.size === 0) return null;
    return [...this.#positions].map(([stream, { epoch, n }]) => `${stream}.${epoch}-${n}`).join(',');
  }
}
