import { useMemo, useSyncExternalStore } from 'react';

import { useSession } from '../contexts/SessionContext';
import type { NotificationStore } from '../realtime';

export type Notifications = NotificationStore['snapshot'];

const NONE: Notifications = { items: [], unread: 0, muted: false };
const never = (): (() => void) => () => undefined;

export interface NotificationActions {
  /** One notification by its id, or all of them. */
  markAsRead: (id?: string) => void;
  setMuted: (muted: boolean) => void;
  remove: (id: string) => void;
}

/** The history of this browser, shared by its tabs. */
export function useNotifications(): Notifications {
  const store = useSession()?.notifications;
  return useSyncExternalStore(
    useMemo(() => store?.subscribe.bind(store) ?? never, [store]),
    () => store?.snapshot ?? NONE,
  );
}

/** What can be done to notifications; these functions stay the same, so that rows need not render anew. */
export function useNotificationActions(): NotificationActions {
  const store = useSession()?.notifications;
  return useMemo(
    () => ({
      markAsRead: (id = 'all') => store?.markAsRead(id),
      setMuted: (muted) => store?.setMuted(muted),
      remove: (id) => store?.remove(id),
    }),
    [store],
  );
}
