import { useMemo, useSyncExternalStore } from 'react';

import { useSession } from '../contexts/SessionContext';
import type { NotificationSnapshot } from '../realtime';

export type Notifications = NotificationSnapshot;

const NONE: Notifications = { items: [], unread: 0, muted: false, source: 'browser', failed: null };
const never = (): (() => void) => () => undefined;

export interface NotificationActions {
  /** One notification by its id, or all of them. */
  markAsRead: (id?: string) => void;
  setMuted: (muted: boolean) => void;
  remove: (id: string) => void;
  /** The person knows that a change was taken back. */
  noteFailure: () => void;
}

/** What a person is notified of: by the server's inbox for all their devices, or by this browser, shared by its tabs. */
export function useNotifications(): Notifications {
  const center = useSession()?.notifications;
  return useSyncExternalStore(
    useMemo(() => center?.subscribe.bind(center) ?? never, [center]),
    () => center?.snapshot ?? NONE,
  );
}

/** What can be done to notifications; these functions stay the same, so that rows need not render anew. */
export function useNotificationActions(): NotificationActions {
  const center = useSession()?.notifications;
  return useMemo(
    () => ({
      markAsRead: (id = 'all') => center?.markAsRead(id),
      setMuted: (muted) => center?.setMuted(muted),
      remove: (id) => center?.remove(id),
      noteFailure: () => center?.noteFailure(),
    }),
    [center],
  );
}
