import type { Format, Messages } from '../../i18n';
import { isMessage, type NotificationItem, type TranscodeComplete, type TranscodeFailed } from '../../realtime';

export type Kind = 'transcode_complete' | 'transcode_failed' | 'system_message' | 'other';

/** A notification in the reader's language. What its sender wrote stays as it was written. */
export interface Described {
  /** What happened. */
  event: string;
  /** What it happened to; null if it speaks for itself. */
  subject: string | null;
  facts: string;
}

export function kindOf({ message: { type } }: NotificationItem): Kind {
  return type === 'transcode_complete' || type === 'transcode_failed' || type === 'system_message' ? type : 'other';
}

export function describe({ message, type, title, text }: NotificationItem, say: Messages, format: Format): Described {
  if (isMessage(message, 'transcode_complete')) {
    const facts = [message.format_type.toUpperCase(), format.bytes(message.file_size)];
    return { event: say.message.complete, ...videoOf(message, facts, say) };
  }
  if (isMessage(message, 'transcode_failed')) {
    return { event: say.message.failed, ...videoOf(message, [message.error || say.message.unknownError], say) };
  }
  if (isMessage(message, 'system_message')) return { event: say.message.system, subject: null, facts: message.message };
  return { event: title ?? type, subject: null, facts: text };
}

/** Its title, or its number where it has none. */
function videoOf(
  { title, video_id }: TranscodeComplete | TranscodeFailed,
  facts: readonly string[],
  say: Messages,
): Pick<Described, 'subject' | 'facts'> {
  const number = say.message.video(video_id);
  return { subject: title || number, facts: (title ? [number, ...facts] : facts).join(' · ') };
}

/** All but what happened, in one line. */
export function lineOf({ subject, facts }: Described): string {
  return subject === null ? facts : `${subject} · ${facts}`;
}
