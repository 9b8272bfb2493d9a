import { isMessage, type ServerMessage, type SystemMessage } from './messages';

export interface NotificationItem {
  /** The event's. */
  id: string;
  type: string;
  level: SystemMessage['level'];
  title: string | null;
  text: string;
  message: ServerMessage;
  /** ms since 1970, by this browser. */
  receivedAt: number;
  read: boolean;
}

const LEVELS: readonly unknown[] = ['info', 'success', 'warning', 'error'] satisfies SystemMessage['level'][];

/** Return what a person is notified of; null for states and for what a node says by itself: these are no events. */
export function itemOf(message: ServerMessage, receivedAt: number): NotificationItem | null {
  if (!('id' in message) || typeof message.id !== 'string') return null;
  return { id: message.id, type: message.type, ...shown(message), message, receivedAt, read: false };
}

function shown(message: ServerMessage): Pick<NotificationItem, 'level' | 'title' | 'text'> {
  if (isMessage(message, 'transcode_complete')) {
    return { level: 'success', title: message.title, text: message.format_type };
  }
  if (isMessage(message, 'transcode_failed')) return { level: 'error', title: message.title, text: message.error };
  const { level, title, message: text } = message as { level?: unknown; title?: unknown; message?: unknown };
  return {
    level: LEVELS.includes(level) ? (level as NotificationItem['level']) : 'info',
    title: typeof title === 'string' ? title : null,
    text: typeof text === 'string' ? text : '',
  };
}

/** When it happened, ms since 1970: by the router if that said so. */
export function momentOf(item: NotificationItem): number {
  const { timestamp } = item.message as { timestamp?: unknown };
  const moment = typeof timestamp === 'string' ? Date.parse(timestamp) : NaN;
  return Number.isNaN(moment) ? item.receivedAt : moment;
}
