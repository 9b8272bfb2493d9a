import { CloseCode } from './closeCodes';

/**
 * What the client does after a connection has ended.
 *
 * | policy | what the client does |
 * | --- | --- |
 * | told | reconnect after the `retry_after_ms` it was sent; with back-off if it was sent none |
 * | atOnce | reconnect at once, if it had been connected; otherwise with back-off |
 * | backOff | reconnect with back-off; news of the network or of the page cut the wait short |
 * | busy | reconnect with back-off, and never sooner: the node is overloaded |
 * | token | fetch a new token, then reconnect; stop when that failed twice |
 * | stop | stop: trying again would not help |
 */
export type ClosePolicy = 'told' | 'atOnce' | 'backOff' | 'busy' | 'token' | 'stop';

const POLICIES = {
  [CloseCode.NORMAL]: 'backOff',
  [CloseCode.PROTOCOL_ERROR]: 'stop',
  [CloseCode.BINARY_FRAME]: 'stop',
  [CloseCode.INVALID_UTF8]: 'stop',
  [CloseCode.FRAME_TOO_LARGE]: 'stop',
  [CloseCode.SERVICE_RESTART]: 'told',
  [CloseCode.TRY_AGAIN_LATER]: 'busy',
  [CloseCode.UNAUTHENTICATED]: 'token',
  [CloseCode.FORBIDDEN]: 'stop',
  [CloseCode.NO_HEARTBEAT]: 'atOnce',
  [CloseCode.TOO_MANY]: 'busy',
} as const satisfies Record<CloseCode, ClosePolicy>;

/** Return what a close code asks for; any that no node chooses (1006, a proxy's) means that the way there is broken. */
export function closePolicy(code: number): ClosePolicy {
  return (POLICIES as Readonly<Record<number, ClosePolicy | undefined>>)[code] ?? 'backOff';
}
