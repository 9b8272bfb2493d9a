"""What a node says by itself, for the generator of the browser's types.

Nodes write these frames as bytes, most of them prebuilt; ``tests/integration/test_node_messages.py`` holds what a real
node says to these models.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]
UserId = int | str


class _NodesOwn(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ConnectionStats(_NodesOwn):
    total_users: Count
    total_user_connections: Count
    total_admin_connections: Count
    total_connections: Count


class Connected(_NodesOwn):
    """The first frame; ``admin_id`` on the admin endpoint, ``user_id`` on the other."""

    type: Literal["connected"]
    message: str
    admin_id: UserId = ""
    user_id: UserId = ""
    connection_stats: ConnectionStats
    recovered: bool | None
    cursor: str
    heartbeat_interval_ms: Annotated[int, Field(gt=0)]


class Stats(ConnectionStats):
    type: Literal["stats"]


class NodeError(_NodesOwn):
    type: Literal["error"]
    code: str


class Reconnect(_NodesOwn):
    type: Literal["reconnect"]
    retry_after_ms: Count


class Refreshed(_NodesOwn):
    type: Literal["refreshed"]
    exp: int


class Resync(_NodesOwn):
    type: Literal["resync"]
    cursor: str


class InboxChanged(_NodesOwn):
    """One of the user's devices has read or deleted something: how much is not read now, and what it was."""

    type: Literal["inbox"]
    unread: Count
    as_of: str
    revision: Count
    read: list[str] = []
    deleted: list[str] = []
    up_to: list[str] = []


NODES_OWN: Final[dict[str, type[_NodesOwn]]] = {
    "connected": Connected,
    "stats": Stats,
    "error": NodeError,
    "reconnect": Reconnect,
    "refreshed": Refreshed,
    "resync": Resync,
    "inbox": InboxChanged,
}
