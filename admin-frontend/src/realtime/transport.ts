import type { Received } from './frames';

export interface Close {
  code: number;
  reason: string;
}

export interface TransportEvents {
  received: (received: Received) => void;
  /** Exactly once, unless `close()` was called. */
  ended: (close: Close) => void;
}

/** What closes without a node's word: as a browser says of a socket. */
export const ABNORMAL = 1006;

/** One connection to a node, whatever it is made of. */
export interface Transport {
  /** When `connected` came, ms since 1970. */
  readonly connectedAt: number | null;
  /** What the node said before it closed: when to come back, ms. */
  retryAfter: number | null;
  /** Say that the node let us in, and how often it wants to hear us. */
  welcomed(heartbeatInterval: number): void;
  send(text: string): void;
  /** Find out within `timeout` ms, or as soon as it can be known, whether it still lives. */
  probe(timeout: number): void;
  /** End it; `ended` is not called. */
  close(): void;
}
