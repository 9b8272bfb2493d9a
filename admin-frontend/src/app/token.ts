import { useSyncExternalStore } from 'react';

import { claimsIn, expiryOf, subjectOf } from '../realtime';

/** What the page reads of a token, to say early what the server would refuse; the server alone decides. */
export interface Claims {
  userId: string;
  username: string;
  isAdmin: boolean;
  scopes: ReadonlySet<string>;
  expiresAt: number; // ms since the Unix epoch
}

const KEY = 'token';
const listeners = new Set<() => void>();

/** Read a JWT's claims; null for what is none, or lacks what a node demands. */
export function claimsOf(token: string): Claims | null {
  const [userId, expiresAt] = [subjectOf(token), expiryOf(token)];
  if (userId === null || expiresAt === null) return null;
  const { username, is_admin: isAdmin, scope } = claimsIn(token) ?? {};
  return {
    userId,
    username: typeof username === 'string' ? username : userId,
    isAdmin: isAdmin === true,
    scopes: new Set(typeof scope === 'string' ? scope.split(' ').filter(Boolean) : []),
    expiresAt,
  };
}

export function storedToken(): string | null {
  return localStorage.getItem(KEY);
}

/** Keep a token for all tabs of this browser; null signs out everywhere. */
export function storeToken(token: string | null): void {
  if (token === null) localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, token);
  for (const listener of listeners) listener();
}

/**
 * Take a token from the address, `/#token=…` as `make run` prints it, and take it out of there: it must not stay in
 * the history or be copied along. Browsers keep what follows a # to themselves.
 */
export function takeTokenFromAddress(): void {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token === null) return;
  history.replaceState(history.state, '', location.pathname + location.search);
  if (claimsOf(token) !== null) storeToken(token);
}

function subscribe(listener: () => void): () => void {
  // The storage event tells of other tabs only; of this one, storeToken does.
  const elsewhere = (event: StorageEvent): void => {
    if (event.key === KEY || event.key === null) listener();
  };
  listeners.add(listener);
  window.addEventListener('storage', elsewhere);
  return () => {
    listeners.delete(listener);
    window.removeEventListener('storage', elsewhere);
  };
}

export function useToken(): string | null {
  return useSyncExternalStore(subscribe, storedToken);
}
