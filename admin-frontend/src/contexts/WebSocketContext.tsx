import { type ReactNode, use, useEffect, useMemo, useRef, useState } from 'react';

import { useConnection } from '../hooks/useConnection';
import { useNotificationActions, useNotifications } from '../hooks/useNotifications';
import { useTranscodes } from '../hooks/useTranscodes';
import type { ConnectionSnapshot, NotificationItem, RealtimeOptions } from '../realtime';
import { subjectOf } from '../realtime';
import { Session } from './session';
import { SessionContext } from './SessionContext';
import { Toasts } from './Toasts';

export interface WebSocketProviderProps extends Partial<RealtimeOptions> {
  /** Connect when it is mounted. Default true. */
  autoConnect?: boolean;
  /** Whose notifications this browser keeps. Default: the subject of the token. */
  userKey?: string;
  /** Show new notifications as toasts. Default true. */
  toasts?: boolean;
  children: ReactNode;
}

/**
 * Give everything inside one connection, one history of notifications and one table of transcodes.
 *
 * A provider inside another one uses the outer one's: an app has one connection, however it is composed.
 */
export function WebSocketProvider({ children, ...options }: WebSocketProviderProps) {
  const outer = use(SessionContext);
  return outer === undefined ? <Provider {...options}>{children}</Provider> : children;
}

function Provider({ children, autoConnect = true, toasts = true, ...options }: WebSocketProviderProps) {
  const session = useNewSession(options, autoConnect);
  return (
    <SessionContext value={session}>
      {children}
      {session && toasts ? <Toasts session={session} /> : null}
    </SessionContext>
  );
}

type Options = Omit<WebSocketProviderProps, 'children' | 'autoConnect' | 'toasts'>;

function useNewSession(options: Options, autoConnect: boolean): Session | null {
  const [session, setSession] = useState<Session | null>(null);
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  const { isAdmin = false, url, userKey } = options;
  useEffect(() => {
    let opened: Session | null = null;
    let isOver = false;
    const open = async (): Promise<void> => {
      const { getToken = storedToken, refreshAccessToken } = latest.current;
      const key = userKey ?? (await keyOf(getToken));
      // StrictMode mounts twice: the first session has ended by now, before it opened anything.
      if (isOver) return;
      opened = new Session({
        ...latest.current,
        isAdmin,
        userKey: `${isAdmin ? 'admin' : 'user'}:${key}`,
        // The functions of the latest render, not those of the first.
        getToken: () => (latest.current.getToken ?? storedToken)(),
        ...(refreshAccessToken && {
          refreshAccessToken: () => latest.current.refreshAccessToken?.() ?? Promise.resolve(null),
        }),
      });
      if (autoConnect) opened.client.connect();
      setSession(opened);
    };
    void open();
    return () => {
      isOver = true;
      opened?.close();
      setSession(null);
    };
  }, [isAdmin, url, userKey, autoConnect]);
  return session;
}

async function keyOf(getToken: NonNullable<RealtimeOptions['getToken']>): Promise<string> {
  try {
    return subjectOf((await getToken()) ?? '') ?? 'unknown';
  } catch {
    return 'unknown'; // the client will ask again, and say what went wrong
  }
}

function storedToken(): string | null {
  return localStorage.getItem('token');
}

export interface WebSocketContextValue {
  isConnected: boolean;
  connection: ConnectionSnapshot;
  /** Notifications, newest first; progress is none. */
  notifications: readonly NotificationItem[];
  unreadCount: number;
  /** One notification by its id, or all of them. */
  markAsRead: (id?: string) => void;
  /** Progress by video id, 0 to 100; a transcode that ended stays until it ages out. */
  transcodeProgress: ReadonlyMap<number, number>;
  sendMessage: (command: string) => boolean;
  connect: () => void;
  disconnect: () => void;
  retry: () => void;
}

/**
 * Everything at once. A component that uses it renders with every frame in which anything changed; one that needs a part
 * of it takes `useConnection`, `useNotifications`, `useTranscode` or `useTranscodes`, and renders for that part alone.
 */
export function useWebSocketContext(): WebSocketContextValue {
  const { snapshot, send, connect, disconnect, retry } = useConnection();
  const { items, unread } = useNotifications();
  const { markAsRead } = useNotificationActions();
  const transcodes = useTranscodes();
  const transcodeProgress = useMemo(
    () => new Map([...transcodes].map(([videoId, { progress }]) => [videoId, progress])),
    [transcodes],
  );
  return useMemo(
    () => ({
      isConnected: snapshot.state === 'open',
      connection: snapshot,
      notifications: items,
      unreadCount: unread,
      markAsRead,
      transcodeProgress,
      sendMessage: send,
      connect,
      disconnect,
      retry,
    }),
    [snapshot, items, unread, markAsRead, transcodeProgress, send, connect, disconnect, retry],
  );
}
