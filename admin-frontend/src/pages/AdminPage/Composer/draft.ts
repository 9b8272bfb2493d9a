import {
  type Field,
  type Level,
  MESSAGE_MAX_BYTES,
  type SystemMessageDraft,
  type Target,
  USER_ID,
  USERS_MAX,
} from '../../../api/systemMessages';
import type { Messages } from '../../../i18n';

export type TargetKind = 'admin' | 'all' | 'users';

export interface Draft {
  message: string;
  level: Level;
  targetKind: TargetKind;
  users: readonly string[];
}

export const EMPTY: Draft = { message: '', level: 'info', targetKind: 'admin', users: [] };

// The envelope around the text counts too.
const TEXT_MAX_BYTES = MESSAGE_MAX_BYTES - 512;

export function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** What is wrong with a draft, by field, before the server is asked. */
export function problemsOf(draft: Draft, { composer: { errors } }: Messages): Partial<Record<Field, string>> {
  const problems: Partial<Record<Field, string>> = {};
  if (!draft.message.trim()) problems.message = errors.needMessage;
  else if (bytesOf(draft.message) > TEXT_MAX_BYTES) problems.message = errors.tooLarge;
  if (draft.targetKind === 'users') {
    const bad = draft.users.find((user) => !USER_ID.test(user));
    if (draft.users.length === 0) problems.target = errors.needUsers;
    else if (bad !== undefined) problems.target = errors.badUser(bad);
  }
  return problems;
}

export function toSend({ message, level, targetKind, users }: Draft): SystemMessageDraft {
  const target: Target = targetKind === 'users' ? { users: users.slice(0, USERS_MAX) } : targetKind;
  return { message, level, target };
}
