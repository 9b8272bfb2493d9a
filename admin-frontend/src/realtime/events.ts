import type { Emitter } from './emitter';
import { RealtimeError } from './errors';
import {
  isMessage,
  type Connected,
  type InboxChanged,
  type ServerMessage,
  type SystemMessage,
  type TranscodeComplete,
  type TranscodeFailed,
  type TranscodeProgress,
} from './messages';

/** What a client tells its listeners. */
export interface RealtimeEvents {
  /** Every valid frame, those of unknown types too. */
  message(message: ServerMessage): void;
  transcodeProgress(message: TranscodeProgress): void;
  transcodeComplete(message: TranscodeComplete): void;
  transcodeFailed(message: TranscodeFailed): void;
  systemMessage(message: SystemMessage): void;
  /** Another device of this user, or this one, has read or deleted notifications. */
  inboxChanged(message: InboxChanged): void;
  connected(message: Connected): void;
  /** At the end of every socket, also of one that never got as far as `connected`. */
  disconnected(close: { code: number; reason: string; willReconnect: boolean }): void;
  /** Something was missed for good: fetch state and inbox anew. */
  lost(): void;
  error(error: RealtimeError): void;
}

/** Tell the listeners about a message: those for all of them first, then those for its type. */
export function announce(events: Emitter<RealtimeEvents>, message: ServerMessage): void {
  events.emit('message', message);
  if (isMessage(message, 'transcode_progress')) events.emit('transcodeProgress', message);
  else if (isMessage(message, 'transcode_complete')) events.emit('transcodeComplete', message);
  else if (isMessage(message, 'transcode_failed')) events.emit('transcodeFailed', message);
  else if (isMessage(message, 'system_message')) events.emit('systemMessage', message);
  else if (isMessage(message, 'inbox')) events.emit('inboxChanged', message);
  else if (isMessage(message, 'error')) {
    events.emit('error', new RealtimeError('refused', `the node answers ${message.code}`, { code: message.code }));
  } else if (isMessage(message, 'connected')) {
    events.emit('connected', message);
    if (message.recovered === false) events.emit('lost');
  } else if (isMessage(message, 'resync')) events.emit('lost');
}
