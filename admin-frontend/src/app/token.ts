import { useSyncExternalStore } from 'react';

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

/** Read a JWT's claims; null for what is none. */
export function claimsOf(token: string): Claims | null {
  const [, body, ...rest] = token.split('.');
  if (body === undefined || rest.length !== 1) return null;
  try {
    const bytes = Uint8Array.from(atob(body.replaceAll('-', '+').replaceAll('_', '/')), (byte) => byte.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    const { sub, exp, username, scope } = claims;
    if ((typeof sub !== 'string' && typeof sub !== 'number') || typeof exp !== 'number') return null;
    return {
      userId: String(sub),
      username: typeof username === 'string' ? username : String(sub),
      isAdmin: claims['is_admin'] === true,
      scopes: new Set(typeof scope === 'string' ? scope.split(' ').filter(Boolean) : []),
      expiresAt: exp * 1000,
    };
  } catch {
    return null;
  }
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
