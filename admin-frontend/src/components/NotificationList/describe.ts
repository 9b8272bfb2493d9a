import type { Format, Messages } from '../../i18n';
import { isMessage, type NotificationItem, type TranscodeComplete, type TranscodeFailed } from '../../realtime';

export type Kind = 'transcode_complete' | 'transcode_failed' | 'system_message' | 'other';

export interface Described {
  title: string;
  text: string;
}

export function kindOf({ message: { type } }: NotificationItem): Kind {
  return type === 'transcode_complete' || type === 'transcode_failed' || type === 'system_message' ? type : 'other';
}

/** Say a notification in the reader's language. What its sender wrote stays as it was written. */
export function describe({ message, type, title, text }: NotificationItem, say: Messages, format: Format): Described {
  if (isMessage(message, 'transcode_complete')) {
    const facts = [message.format_type.toUpperCase(), format.bytes(message.file_size)];
    return { title: say.message.complete, text: [nameOf(message, say), ...facts].join(' · ') };
  }
  if (isMessage(message, 'transcode_failed')) {
    return {
      title: say.message.failed,
      text: `${nameOf(message, say)} · ${message.error || say.message.unknownError}`,
    };
  }
  if (isMessage(message, 'system_message')) return { title: say.message.system, text: message.message };
  return { title: title ?? type, text };
}

function nameOf({ title, video_id }: TranscodeComplete | TranscodeFailed, say: Messages): string {
  return title ? `${title} (${say.message.video(video_id)})` : say.message.video(video_id);
}
