import { isFields } from './frames';

/** Read a JWT's claims; null for what is none. Nothing is verified: that is the node's business. */
export function claimsIn(token: string): Record<string, unknown> | null {
  const [, payload, ...rest] = token.split('.');
  if (payload === undefined || rest.length !== 1) return null;
  try {
    const bytes = Uint8Array.from(atob(payload.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return isFields(claims) ? claims : null;
  } catch {
    return null;
  }
}

/** Return when a JWT expires, ms since 1970; null if it does not say. */
export function expiryOf(token: string): number | null {
  const exp = claimsIn(token)?.['exp'];
  return typeof exp === 'number' ? exp * 1000 : null;
}

/** Return whose token it is, an integer in its decimal form; null if it does not say. */
export function subjectOf(token: string): string | null {
  const sub = claimsIn(token)?.['sub'];
  return typeof sub === 'string' || typeof sub === 'number' ? String(sub) : null;
}
