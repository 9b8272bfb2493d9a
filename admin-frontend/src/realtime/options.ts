import { browserEnvironment, type BrowserEnvironment } from './environment';
import { systemClock, type Clock } from './clock';
import type { TokenSources } from './tokens';

/** Times in ms. */
export interface RealtimeOptions extends TokenSources {
  /** A ws:, wss:, http: or https: URL. Default: `VITE_WS_URL`, else where the page came from. */
  url?: string;
  isAdmin: boolean;
  /** Default true. */
  autoReconnect?: boolean;
  /** The longest wait before the first attempt after a loss; it doubles from attempt to attempt. Default 3000. */
  reconnectInterval?: number;
  /** Default 30000. */
  maxReconnectDelay?: number;
  /** After so many in a row the state is `offline` until `retry()`. Default 5; `Infinity` never gives up. */
  maxReconnectAttempts?: number;
  /** Default 30000; the node's `heartbeat_interval_ms` wins. */
  heartbeatInterval?: number;
  /** Default 10000. */
  heartbeatTimeout?: number;
  /** From the first byte to the `connected` frame; a token provider has as long. Default 15000. */
  connectTimeout?: number;
  /**
   * After so many sockets in a row that did not get through, hear by Server-Sent Events, and try a socket again later.
   * Default 3; `Infinity` never does.
   */
  streamAfter?: number;
  /** Commands kept while there is no connection. Default 32. */
  sendQueueLimit?: number;
  /** Tell the node, if it asks, when a message was painted: the message's trace then ends there. Default false. */
  acknowledge?: boolean;
  /** Where the place in the streams survives a reload; null: nowhere. Default `sessionStorage`. */
  cursorStorage?: CursorStorage | null;
  clock?: Clock;
  fetch?: typeof fetch;
  WebSocket?: typeof WebSocket;
  environment?: BrowserEnvironment;
  random?: () => number;
}

export type CursorStorage = Pick<Storage, 'getItem' | 'setItem'>;

export type Settings = Required<Omit<RealtimeOptions, keyof TokenSources | 'url'>> &
  TokenSources & { url: string | undefined };

/** Fill in what was left out; an option given as undefined counts as left out. */
export function settingsOf(options: RealtimeOptions): Settings {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  return {
    url: (import.meta as { env?: Record<string, string | undefined> }).env?.['VITE_WS_URL'],
    autoReconnect: true,
    reconnectInterval: 3000,
    maxReconnectDelay: 30_000,
    maxReconnectAttempts: 5,
    heartbeatInterval: 30_000,
    heartbeatTimeout: 10_000,
    connectTimeout: 15_000,
    streamAfter: 3,
    sendQueueLimit: 32,
    acknowledge: false,
    cursorStorage: typeof sessionStorage === 'undefined' ? null : sessionStorage,
    clock: systemClock,
    fetch: (...args) => globalThis.fetch(...args),
    WebSocket: globalThis.WebSocket,
    environment: browserEnvironment(),
    random: Math.random,
    ...given,
  } as Settings;
}
