import { useMemo, useSyncExternalStore } from 'react';

import { useSession } from '../contexts/SessionContext';
import type { ConnectionSnapshot } from '../realtime';
import { BEFORE } from '../realtime/snapshot';

const nothing = (): void => undefined;
const never = (): (() => void) => nothing;

export interface Connection {
  snapshot: ConnectionSnapshot;
  retry: () => void;
  connect: () => void;
  disconnect: () => void;
  /** False: the queue is full, or the connection is ended for good. */
  send: (command: string) => boolean;
}

/** The state of the app's one connection, and what can be done about it. */
export function useConnection(): Connection {
  const session = useSession();
  const client = session?.client;
  const snapshot = useSyncExternalStore(
    useMemo(() => client?.subscribe.bind(client) ?? never, [client]),
    () => client?.snapshot ?? BEFORE,
  );
  return useMemo(
    () => ({
      snapshot,
      retry: () => client?.retry(),
      connect: () => client?.connect(),
      disconnect: () => client?.disconnect(),
      send: (command) => client?.send(command) ?? false,
    }),
    [snapshot, client],
  );
}
