"""Why a node closes a WebSocket, and what a client does about it: one table for nodes, clients and documents.

| code | meaning | what a client does |
| --- | --- | --- |
| 1012 | this node is draining, or starts anew | reconnect after the ``retry_after_ms`` it was sent |
| 1013 | the client fell too far behind, or the node is full | reconnect with back-off, then catch up |
| 1002, 1003, 1007, 1009 | protocol error, binary frame, invalid UTF-8, frame too large | do not retry unchanged |
| 4401 | token missing, invalid, expired, or connection ended by an administrator | fetch a new token, then reconnect |
| 4403 | not an admin, or the user is unknown or blocked | stop |
| 4408 | no heartbeat | reconnect |
| 4429 | too many connections or commands of this user | back off |
"""

from __future__ import annotations

from enum import IntEnum


class CloseCode(IntEnum):
    NORMAL = 1000
    PROTOCOL_ERROR = 1002
    BINARY_FRAME = 1003
    INVALID_UTF8 = 1007
    FRAME_TOO_LARGE = 1009
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    NO_HEARTBEAT = 4408
    TOO_MANY = 4429
