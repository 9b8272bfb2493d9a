import type { Address } from '../realtime';
import { call, CallFailed } from './http';

export const LEVELS = ['info', 'success', 'warning', 'error'] as const;
export type Level = (typeof LEVELS)[number];
export type Target = 'admin' | 'all' | { users: string[] };

export interface SystemMessageDraft {
  message: string;
  level: Level;
  target: Target;
}

export interface Receipt {
  id: string;
  nodes: number;
  online: boolean;
  trace_id: string;
}

export type Field = 'message' | 'level' | 'target';

/** One way in which sending can end badly; `fields` says what the server holds against which. */
export type Refusal =
  | { kind: 'unauthenticated' | 'forbidden' | 'conflict' | 'unreachable' }
  | { kind: 'invalid' | 'tooLarge'; fields: Partial<Record<Field, string>>; text: string }
  | { kind: 'unavailable'; retryAfter: number | null }
  | { kind: 'unexpected'; status: number };

export const MESSAGE_MAX_BYTES = 64 * 1024;

/** The router's rule for user ids. */
export const USER_ID = /^[A-Za-z0-9_:@-]{1,128}$/;
export const USERS_MAX = 1000;

/**
 * Publish a system message through the node.
 *
 * The key makes a repeated call harmless: use the same one when trying again after a lost answer.
 */
export async function sendSystemMessage(
  address: Address,
  token: string | null,
  draft: SystemMessageDraft,
  idempotencyKey: string,
): Promise<Receipt> {
  const headers = { 'Idempotency-Key': idempotencyKey };
  return (await call(address.http('admin/system-messages'), {
    method: 'POST',
    token,
    body: draft,
    headers,
  })) as Receipt;
}

export function refusalOf(error: unknown): Refusal {
  if (!(error instanceof CallFailed)) throw error;
  switch (error.status) {
    case 0:
      return { kind: 'unreachable' };
    case 401:
      return { kind: 'unauthenticated' };
    case 403:
      return { kind: 'forbidden' };
    case 409:
      return { kind: 'conflict' };
    case 413:
      return { kind: 'tooLarge', fields: {}, text: '' };
    case 422:
      return { kind: 'invalid', ...complaintsOf(error.detail) };
    case 502:
    case 503:
    case 504:
      return { kind: 'unavailable', retryAfter: error.retryAfter };
    default:
      return { kind: 'unexpected', status: error.status };
  }
}

/** Read FastAPI's list of errors: each names the place in the body and what is wrong there. */
function complaintsOf(detail: unknown): { fields: Partial<Record<Field, string>>; text: string } {
  const fields: Partial<Record<Field, string>> = {};
  const texts: string[] = [];
  for (const each of Array.isArray(detail) ? (detail as unknown[]) : [detail]) {
    const { loc, msg } = (typeof each === 'object' && each !== null ? each : { msg: each }) as Record<string, unknown>;
    const text = typeof msg === 'string' ? msg : JSON.stringify(each);
    const field = Array.isArray(loc) ? loc.find(isField) : undefined;
    if (field)
      fields[field] = text; // the last one: of a union, the first ones only say what else it could be
    else texts.push(text);
  }
  return { fields, text: texts.join('; ') };
}

function isField(part: unknown): part is Field {
  return part === 'message' || part === 'level' || part === 'target';
}
