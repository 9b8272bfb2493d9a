// Written by docs/generate.py from shared/messages.py and docs/node_messages.py (make docs). Do not edit.

export interface ConnectionStats {
  total_users: number;
  total_user_connections: number;
  total_admin_connections: number;
  total_connections: number;
}

export interface TranscodeProgress {
  type: 'transcode_progress';
  video_id: number;
  status: string;
  progress: number;
  message: string;
  timestamp: string;
}

export interface TranscodeComplete {
  type: 'transcode_complete';
  video_id: number;
  title: string;
  format_type: string;
  file_size: number;
  timestamp: string;
  id?: string;
}

export interface TranscodeFailed {
  type: 'transcode_failed';
  video_id: number;
  title: string;
  error: string;
  timestamp: string;
  id?: string;
}

export interface SystemMessage {
  type: 'system_message';
  message: string;
  level: 'info' | 'success' | 'warning' | 'error';
  timestamp: string;
  id: string;
}

export interface Connected {
  type: 'connected';
  message: string;
  admin_id?: number | string;
  user_id?: number | string;
  connection_stats: ConnectionStats;
  recovered: boolean | null;
  cursor: string;
  heartbeat_interval_ms: number;
}

export interface Stats {
  type: 'stats';
  total_users: number;
  total_user_connections: number;
  total_admin_connections: number;
  total_connections: number;
}

export interface NodeError {
  type: 'error';
  code: string;
}

export interface Reconnect {
  type: 'reconnect';
  retry_after_ms: number;
}

export interface Refreshed {
  type: 'refreshed';
  exp: number;
}

export interface Resync {
  type: 'resync';
  cursor: string;
}

export interface InboxChanged {
  type: 'inbox';
  unread: number;
  as_of: string;
  revision: number;
  read?: readonly string[];
  deleted?: readonly string[];
  up_to?: readonly string[];
}

/** A message of the platform's own: any object with a `type`; an event has an `id`. */
export interface CustomMessage {
  type: string;
  [field: string]: unknown;
}

export interface KnownMessages {
  transcode_progress: TranscodeProgress;
  transcode_complete: TranscodeComplete;
  transcode_failed: TranscodeFailed;
  system_message: SystemMessage;
  connected: Connected;
  stats: Stats;
  error: NodeError;
  reconnect: Reconnect;
  refreshed: Refreshed;
  resync: Resync;
  inbox: InboxChanged;
}

export type KnownType = keyof KnownMessages;
export type KnownMessage = KnownMessages[KnownType];
export type TranscodeMessage = TranscodeProgress | TranscodeComplete | TranscodeFailed;
export type ServerMessage = KnownMessage | CustomMessage;

/** What a field must be; several kinds where it may be one of them. */
export interface FieldShape {
  kinds: readonly ('integer' | 'number' | 'string' | 'boolean' | 'null' | 'object' | 'array')[];
  optional?: true;
  min?: number;
  max?: number;
  above?: number;
  minLength?: number;
  oneOf?: readonly string[];
  fields?: Readonly<Record<string, FieldShape>>;
  /** What each of an array's elements, or each value of an object of any keys, must be. */
  each?: FieldShape;
}

export const SHAPES: Readonly<Record<KnownType, Readonly<Record<string, FieldShape>>>> = {
  transcode_progress: {
    video_id: { kinds: ['integer'] },
    status: { kinds: ['string'], minLength: 1 },
    progress: { kinds: ['number'], min: 0, max: 100 },
    message: { kinds: ['string'] },
    timestamp: { kinds: ['string'] },
  },
  transcode_complete: {
    video_id: { kinds: ['integer'] },
    title: { kinds: ['string'] },
    format_type: { kinds: ['string'], minLength: 1 },
    file_size: { kinds: ['integer'], min: 0 },
    timestamp: { kinds: ['string'] },
    id: { kinds: ['string'], optional: true },
  },
  transcode_failed: {
    video_id: { kinds: ['integer'] },
    title: { kinds: ['string'] },
    error: { kinds: ['string'] },
    timestamp: { kinds: ['string'] },
    id: { kinds: ['string'], optional: true },
  },
  system_message: {
    message: { kinds: ['string'], minLength: 1 },
    level: { kinds: ['string'], oneOf: ['info', 'success', 'warning', 'error'] },
    timestamp: { kinds: ['string'] },
    id: { kinds: ['string'] },
  },
  connected: {
    message: { kinds: ['string'] },
    admin_id: { kinds: ['integer', 'string'], optional: true },
    user_id: { kinds: ['integer', 'string'], optional: true },
    connection_stats: {
      kinds: ['object'],
      fields: {
        total_users: { kinds: ['integer'], min: 0 },
        total_user_connections: { kinds: ['integer'], min: 0 },
        total_admin_connections: { kinds: ['integer'], min: 0 },
        total_connections: { kinds: ['integer'], min: 0 },
      },
    },
    recovered: { kinds: ['boolean', 'null'] },
    cursor: { kinds: ['string'] },
    heartbeat_interval_ms: { kinds: ['integer'], above: 0 },
  },
  stats: {
    total_users: { kinds: ['integer'], min: 0 },
    total_user_connections: { kinds: ['integer'], min: 0 },
    total_admin_connections: { kinds: ['integer'], min: 0 },
    total_connections: { kinds: ['integer'], min: 0 },
  },
  error: {
    code: { kinds: ['string'] },
  },
  reconnect: {
    retry_after_ms: { kinds: ['integer'], min: 0 },
  },
  refreshed: {
    exp: { kinds: ['integer'] },
  },
  resync: {
    cursor: { kinds: ['string'] },
  },
  inbox: {
    unread: { kinds: ['integer'], min: 0 },
    as_of: { kinds: ['string'] },
    revision: { kinds: ['integer'], min: 0 },
    read: { kinds: ['array'], optional: true, each: { kinds: ['string'] } },
    deleted: { kinds: ['array'], optional: true, each: { kinds: ['string'] } },
    up_to: { kinds: ['array'], optional: true, each: { kinds: ['string'] } },
  },
};

/** Tell whether a message is of a known type; what arrived was checked, so its fields are there. */
export function isMessage<K extends KnownType>(message: ServerMessage, type: K): message is KnownMessages[K] {
  return message.type === type;
}
