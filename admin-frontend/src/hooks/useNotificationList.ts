import { useCallback, useMemo, useSyncExternalStore } from 'react';

import { useSession } from '../contexts/SessionContext';
import type { InboxFilter, InboxListSnapshot } from '../realtime';

export interface NotificationListView extends InboxListSnapshot {
  /** Read older ones, if `hasMore`. */
  loadMore: () => void;
  /** Ask for everything anew: after a failure. */
  reload: () => void;
}

const NONE: InboxListSnapshot = { items: [], state: 'idle', hasMore: false, error: null };
const never = (): (() => void) => () => undefined;

/**
 * Notifications with a filter, page by page from the server's inbox; without one, what this browser keeps. The list is
 * kept up to date while the component is there, and components with the same filter share it.
 */
export function useNotificationList({ type, unread = false }: InboxFilter = {}): NotificationListView {
  const center = useSession()?.notifications;
  const filter = useMemo<InboxFilter>(() => ({ ...(type !== undefined && { type }), unread }), [type, unread]);
  const subscribe = useCallback((listener: () => void) => center?.watch(filter, listener) ?? never(), [center, filter]);
  const snapshot = useSyncExternalStore(subscribe, () => center?.list(filter) ?? NONE);
  return useMemo(
    () => ({ ...snapshot, loadMore: () => center?.loadMore(filter), reload: () => center?.refresh() }),
    [snapshot, center, filter],
  );
}
