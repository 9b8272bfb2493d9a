// Written by docs/generate.py from shared/close_codes.py (make docs). Do not edit.

export const CloseCode = {
  NORMAL: 1000,
  PROTOCOL_ERROR: 1002,
  BINARY_FRAME: 1003,
  INVALID_UTF8: 1007,
  FRAME_TOO_LARGE: 1009,
  SERVICE_RESTART: 1012,
  TRY_AGAIN_LATER: 1013,
  UNAUTHENTICATED: 4401,
  FORBIDDEN: 4403,
  NO_HEARTBEAT: 4408,
  TOO_MANY: 4429,
} as const;

export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];

/** Why a node closes, and what a client does about it: for people who read the code or a log. */
// prettier-ignore
export const CLOSE_CODES: Readonly<Record<number, { meaning: string; client: string }>> = {
  1012: { meaning: 'this node is draining, or starts anew', client: 'reconnect after the retry_after_ms it was sent' },
  1013: { meaning: 'the client fell too far behind, or the node is full', client: 'reconnect with back-off, then catch up' },
  1002: { meaning: 'protocol error, binary frame, invalid UTF-8, frame too large', client: 'do not retry unchanged' },
  1003: { meaning: 'protocol error, binary frame, invalid UTF-8, frame too large', client: 'do not retry unchanged' },
  1007: { meaning: 'protocol error, binary frame, invalid UTF-8, frame too large', client: 'do not retry unchanged' },
  1009: { meaning: 'protocol error, binary frame, invalid UTF-8, frame too large', client: 'do not retry unchanged' },
  4401: { meaning: 'token missing, invalid, expired, or connection ended by an administrator', client: 'fetch a new token, then reconnect' },
  4403: { meaning: 'not an admin, or the user is unknown or blocked', client: 'stop' },
  4408: { meaning: 'no heartbeat', client: 'reconnect' },
  4429: { meaning: 'too many connections or commands of this user', client: 'back off' },
};
