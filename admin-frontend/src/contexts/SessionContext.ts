import { createContext, useContext } from 'react';

import type { Session } from './session';

/** `undefined` outside a provider; `null` inside, until the session is open. */
export const SessionContext = createContext<Session | null | undefined>(undefined);

export function useSession(): Session | null {
  const session = useContext(SessionContext);
  if (session === undefined) throw new Error('this needs a <WebSocketProvider> around it');
  return session;
}
