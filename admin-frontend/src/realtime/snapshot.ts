import type { Connected, ConnectionStats, Stats } from './messages';
import type { Close } from './transport';
import type { Way } from './ways';

/**
 * | state | meaning |
 * | --- | --- |
 * | idle | never connected |
 * | connecting | asks for a token, opens a socket or a stream, waits for `connected` |
 * | open | hears everything |
 * | waiting | tries again at `nextAttemptAt` |
 * | paused | the browser is offline |
 * | offline | gave up: `retry()` |
 * | stopped | by `disconnect()`, or by a close code that says stop (`lastClose`) |
 */
export type ConnectionState = 'idle' | 'connecting' | 'open' | 'waiting' | 'paused' | 'offline' | 'stopped';

/** How the connection stands; immutable, and a new object at every change. */
export interface ConnectionSnapshot {
  readonly state: ConnectionState;
  /** Which attempt in a row this is, or will be; 0 is the first. */
  readonly attempt: number;
  /** ms since 1970. */
  readonly nextAttemptAt: number | null;
  readonly lastClose: Readonly<Close> | null;
  readonly stats: ConnectionStats | null;
  readonly userId: string | number | null;
  /** Of the last connection: whether everything missed has come; null if nothing was asked for. */
  readonly recovered: boolean | null;
  /** By what it hears, or tries to. */
  readonly way: Way;
}

export const BEFORE: ConnectionSnapshot = {
  state: 'idle',
  attempt: 0,
  nextAttemptAt: null,
  lastClose: null,
  stats: null,
  userId: null,
  recovered: null,
  way: 'socket',
};

/** What a `connected` message changes. */
export function openBy(message: Connected): Partial<ConnectionSnapshot> {
  return {
    state: 'open',
    attempt: 0,
    stats: message.connection_stats,
    userId: message.admin_id ?? message.user_id ?? null,
    recovered: message.recovered,
  };
}

export function statsOf(message: Stats): ConnectionStats {
  const { total_users, total_user_connections, total_admin_connections, total_connections } = message;
  return { total_users, total_user_connections, total_admin_connections, total_connections };
}
