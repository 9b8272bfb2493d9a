"""What the router answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from videosite_realtime.errors import Refused, refused


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a message.

    Attributes:
        id: its first id (the admin pool's for transcode messages); None for progress, which has no place in a history.
        ids: its id per audience: ``admin``, ``all``, ``user:<id>``.
        nodes: how many nodes it was handed to.
        online: whether anybody of its audience is connected.
        trace_id: under which it is found in the traces.
    """

    id: str | None
    ids: Mapping[str, str]
    nodes: int
    online: bool
    trace_id: str

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> Receipt:
        return cls(answer["id"], dict(answer["ids"]), answer["nodes"], answer["online"], answer["trace_id"])


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of one item of a batch: it has a receipt or an error.

    Attributes:
        status: HTTP status it would have had alone.
        idempotency_key: the item's own; empty if the item was no object and so could have none.
    """

    status: int
    idempotency_key: str
    receipt: Receipt | None = None
    error: Refused | None = None

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any], idempotency_key: str) -> ItemResult:
        status = answer["status"]
        if status == 202:
            return cls(status, idempotency_key, receipt=Receipt.from_answer(answer))
        return cls(status, idempotency_key, error=refused(status, answer.get("detail")))


class ConnectionCount(TypedDict):
    """The cluster's four counters. Users are distinct; somebody with a phone and a laptop is two connections."""

    total_users: int
    total_user_connections: int
    total_admin_connections: int
    total_connections: int
