import { isFields } from './frames';
import type { KeptStorage } from './notificationShelf';

/** Whether the server kept an inbox when this browser last asked, and how many were unread: shown until it answers. */
export class InboxMemory {
  readonly #key: string;
  readonly #storage: KeptStorage | null;
  #kept: number | null;
  readonly unread: number | null;

  constructor(
    userKey: string,
    storage: KeptStorage | null = typeof localStorage === 'undefined' ? null : localStorage,
  ) {
    this.#key = `vsrt:inbox:${userKey}`;
    this.#storage = storage;
    this.unread = this.#kept = this.#read();
  }

  /** @param unread null: there is no inbox. */
  keep(unread: number | null): void {
    if (unread === this.#kept) return;
    this.#kept = unread;
    try {
      this.#storage?.setItem(this.#key, JSON.stringify(unread === null ? null : { unread }));
    } catch {
      // Full or forbidden: the next visit then waits for the server's answer.
    }
  }

  #read(): number | null {
    try {
      const kept: unknown = JSON.parse(this.#storage?.getItem(this.#key) ?? 'null');
      return isFields(kept) && typeof kept['unread'] === 'number' ? kept['unread'] : null;
    } catch {
      return null;
    }
  }
}
