import { kindOf, type Kind } from '../components/NotificationList/describe';
import type { NotificationItem } from '../realtime';

/** Notifications that share one toast: of one kind and level, since the toast was opened. */
export interface ToastGroup {
  key: string;
  kind: Kind;
  level: NotificationItem['level'];
  count: number;
  /** The newest few, newest first. */
  latest: readonly NotificationItem[];
}

const SHOWN = 2;

/**
 * Group what arrives, so that a burst becomes one toast that counts and not a wall of them: at any time there is at most
 * one toast per kind and level.
 */
export class ToastGroups {
  readonly #open = new Map<string, ToastGroup>();

  /** Put an item into its group and return what its toast now says. */
  add(item: NotificationItem): ToastGroup {
    const kind = kindOf(item);
    const key = `${kind}:${item.level}`;
    const group = this.#open.get(key);
    const next: ToastGroup = {
      key,
      kind,
      level: item.level,
      count: (group?.count ?? 0) + 1,
      latest: [item, ...(group?.latest ?? [])].slice(0, SHOWN),
    };
    this.#open.set(key, next);
    return next;
  }

  /** A toast has gone: what comes next begins a new one. */
  close(key: string): void {
    this.#open.delete(key);
  }
}
