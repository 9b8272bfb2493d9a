"""The names of our spans and of their attributes, in one place; ``docs/tracing.md`` tells what each of them says.

Where OpenTelemetry's conventions have a name, it is theirs. Names of spans say a kind of audience and never a user, a
path with its template and never with what fills it: they are few, and give nobody away. For the same reason the id of a
user's event is told without its stream, which is the user's id in another writing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

# --- spans; an HTTP call's is "<METHOD> <route>"

SEND: Final = "send"  # "send <audience>": the router, from a read request to Redis's answer
PROCESS: Final = "process"  # "process <audience>": a node, from the bytes of the bus to the last socket
CONNECT: Final = "connect"  # a handshake
TAKE: Final = "process queue"  # the router, from an entry of the queue that was taken to what became of it
DRAIN: Final = "drain"  # a node that leaves
DISPLAY: Final = "display"  # from the socket to the eye, for clients that acknowledge

# --- events

DELIVERED: Final = "deliver"  # of `process`: the last socket has been written
RETRIED: Final = "retry"  # of the SDK's span

# --- attributes of the conventions

ERROR_TYPE: Final = "error.type"
HTTP_METHOD: Final = "http.request.method"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS: Final = "http.response.status_code"
URL_SCHEME: Final = "url.scheme"
MESSAGING_SYSTEM: Final = "messaging.system"
OPERATION_NAME: Final = "messaging.operation.name"
OPERATION_TYPE: Final = "messaging.operation.type"
DESTINATION: Final = "messaging.destination.name"
BATCH_COUNT: Final = "messaging.batch.message_count"
BODY_SIZE: Final = "messaging.message.body.size"
MESSAGE_ID: Final = "messaging.message.id"

# --- attributes of our own

_OURS: Final = "vsrt."
MESSAGE_TYPE: Final = _OURS + "message.type"
VIDEO_ID: Final = _OURS + "video_id"
NODES: Final = _OURS + "nodes"
ONLINE: Final = _OURS + "online"
REPLAYS: Final = _OURS + "replays"
CONFLICTS: Final = _OURS + "conflicts"
WAITED: Final = _OURS + "queue.wait"
SOURCE: Final = _OURS + "source"
EXPIRED: Final = _OURS + "expired"
WRITTEN: Final = _OURS + "sockets.written"
FAILED: Final = _OURS + "sockets.failed"
BEHIND: Final = _OURS + "sockets.behind"
CONNECTIONS: Final = _OURS + "connections"
ENDPOINT: Final = _OURS + "endpoint"
RESULT: Final = _OURS + "result"
CLOSE_CODE: Final = _OURS + "close.code"
CLOSE_REASON: Final = _OURS + "close.reason"
RECOVERED: Final = _OURS + "recovered"
HURRIED: Final = _OURS + "hurried"
NETWORK_TIME: Final = _OURS + "network.duration"
HELD_TIME: Final = _OURS + "held.duration"

# --- their values

SYSTEM: Final = "vsrt"  # as our metrics have it, and the producers' SDK
BUS, HISTORY = "bus", "history"  # where a node has a message from
QUEUE: Final = "queue"
ADMIN, ALL, USERS, CONTROL = "admin", "all", "users", "control"
_AUDIENCES: Final = (ADMIN, ALL, USERS, CONTROL)


def audience_of(stream: str) -> str:
    """Return which kind of audience a stream has: one word for all users."""
    return stream if stream in (ADMIN, ALL) else USERS


def destination(audiences: Iterable[str]) -> str:
    """Return kinds of audiences as one destination, ``admin,users`` for example: seven at most, whatever is sent."""
    given = set(audiences)
    return ",".join(audience for audience in _AUDIENCES if audience in given)


def event_name(stream: str, position: str) -> str:
    """Return an event's id as a trace may tell it: a user's without its stream."""
    return f"{stream}.{position}" if stream in (ADMIN, ALL) else position
