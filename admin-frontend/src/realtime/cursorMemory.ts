import { Cursors } from './cursors';
import { subjectOf } from './jwt';
import type { CursorStorage } from './options';

/** Keeps the cursor over a reload of the page, for the user whom the token names only. */
export class CursorMemory {
  #key: string | null = null;
  #cursors = new Cursors();

  constructor(
    private readonly storage: CursorStorage | null,
    private readonly isAdmin: boolean,
  ) {}

  get cursors(): Cursors {
    return this.#cursors;
  }

  /** Begin where this token's owner was; with an owner that the token does not tell, go on. */
  recall(token: string): void {
    const subject = subjectOf(token);
    if (subject === null) return;
    const key = `vsrt:since:${this.isAdmin ? 'admin' : 'user'}:${subject}`;
    if (key === this.#key) return;
    this.#key = key;
    this.#cursors = new Cursors(this.#read(key));
  }

  remember(): void {
    const { since } = this.#cursors;
    if (this.#key === null || since === null) return;
    try {
      this.storage?.setItem(this.#key, since);
    } catch {
      // Full or forbidden: a reload then begins anew, as without storage.
    }
  }

  #read(key: string): string | null {
    try {
      return this.storage?.getItem(key) ?? null;
    } catch {
      return null;
    }
  }
}
