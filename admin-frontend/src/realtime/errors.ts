/**
 * What went wrong, for `onError`.
 *
 * | kind | meaning |
 * | --- | --- |
 * | json | a text frame was no JSON, or a frame was binary |
 * | frame | JSON, but not a message: no `type`, or a known type with a wrong field |
 * | token | the token provider failed, or there is none to be had |
 * | refused | the node answered with an `error` frame; `code` says which |
 * | socket | a WebSocket could not be made |
 * | command | a command larger than a node takes |
 * | http | polling failed |
 */
export type RealtimeErrorKind = 'json' | 'frame' | 'token' | 'refused' | 'socket' | 'command' | 'http';

export class RealtimeError extends Error {
  override readonly name = 'RealtimeError';

  constructor(
    readonly kind: RealtimeErrorKind,
    message: string,
    readonly details: { code?: string; cause?: unknown } = {},
  ) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
  }
}

export function asError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause));
}

/** Return what was not foreseen as an error of the socket. */
export function asRealtimeError(error: Error): RealtimeError {
  return error instanceof RealtimeError ? error : new RealtimeError('socket', error.message, { cause: error });
}
