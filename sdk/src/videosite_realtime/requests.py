"""What is asked of a router: values that can be sent, kept and sent again. Nothing here does I/O.

Publish        one message                                → Receipt
PublishBatch   up to 1,000 messages, each under its key    → list[ItemResult]
ReadStats      the four counters                          → ConnectionCount
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from videosite_realtime.receipts import ConnectionCount, ItemResult, Receipt

UserId = int | str
Level = Literal["info", "success", "warning", "error"]
Audience = Literal["admin", "all"] | Mapping[Literal["users"], Sequence[UserId]]
Expiry = str | float | None
Fields = Mapping[str, Any]

T_co = TypeVar("T_co", covariant=True)


class Request(Protocol[T_co]):
    """Something to ask of a router. ``read`` turns the JSON of a successful answer into its result."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def body(self) -> str | None: ...
    @property
    def idempotency_key(self) -> str | None: ...
    def read(self, answer: Any) -> T_co: ...


@dataclass(frozen=True, slots=True)
class Publish:
    """One message under its idempotency key. Its three fields are text: it can wait in a queue or a table."""

    path: str
    body: str
    idempotency_key: str
    method: ClassVar[str] = "POST"

    def read(self, answer: Any) -> Receipt:
        return Receipt.from_answer(answer)


@dataclass(frozen=True, slots=True)
class PublishBatch:
    """Many messages in one call. Their keys are in the body."""

    path: str
    body: str
    method: ClassVar[str] = "POST"
    idempotency_key: ClassVar[None] = None

    def read(self, answer: Any) -> list[ItemResult]:
        items = json.loads(self.body)["items"]
        keys = [item["idempotency_key"] if isinstance(item, dict) else "" for item in items]
        pairs = zip(answer["results"], keys, strict=True)
        return [ItemResult.from_answer(result, key) for result, key in pairs]


@dataclass(frozen=True, slots=True)
class ReadStats:
    path: ClassVar[str] = "/api/v1/stats"
    method: ClassVar[str] = "GET"
    body: ClassVar[None] = None
    idempotency_key: ClassVar[None] = None

    def read(self, answer: Any) -> ConnectionCount:
        return ConnectionCount(
            total_users=answer["total_users"],
            total_user_connections=answer["total_user_connections"],
            total_admin_connections=answer["total_admin_connections"],
            total_connections=answer["total_connections"],
        )
