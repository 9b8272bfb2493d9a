"""Requests to a cluster of ours as bytes, made once and posted many times."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.cluster import Cluster
from tests.support.ports import LOOPBACK
from tests.support.tokens import Tokens, in_seconds

BODY = "Order 10482 was handed to the courier and will arrive tomorrow between 10:00 and 14:00."
MESSAGE = {"type": "order.status_changed", "title": "Order on its way", "body": BODY, "url": "/orders/10482"}
_SOCKET_KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # the same for all: nobody caches these answers
_A_DAY = 24 * 3600


def upgrade(path: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {_SOCKET_KEY}\r\n\r\n"
    ).encode()


def post(path: str, body: Any, **headers: str) -> bytes:
    content = json.dumps(body, separators=(",", ":")).encode()
    lines = [f"POST {path} HTTP/1.1", f"Host: {LOOPBACK}", "Content-Type: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, f"Content-Length: {len(content)}", "", "")).encode() + content


def minted(tokens: Tokens) -> Callable[[int], str]:
    """Return what mints the token of a numbered user, good for a day."""
    expires = in_seconds(_A_DAY)
    return lambda number: tokens.user(number, exp=expires)


@dataclass(frozen=True, slots=True)
class PlainDialect:
    """WebSocket and nothing on top of it: in after the upgrade, or after a first frame."""

    path: Callable[[int], str]
    first_frame: bool

    def upgrade(self, number: int) -> bytes:
        return upgrade(self.path(number))

    def hello(self, payload: bytes) -> bytes | None:
        return b"" if self.first_frame and not payload else None


class Requests:
    """What is asked of one cluster; users are numbers. ``keyed``: with an ``Idempotency-Key``, as the SDK does."""

    def __init__(self, cluster: Cluster) -> None:
        self._bearer = f"Bearer {cluster.api_key}"
        token = minted(cluster.tokens)
        self.dialect = PlainDialect(lambda number: f"/api/v1/ws?token={token(number)}", first_frame=True)
        self.admin_dialect = PlainDialect(
            lambda number: f"/api/v1/ws/admin?token={cluster.tokens.admin(number)}", first_frame=True
        )

    def broadcast(self, *, keyed: bool = False) -> bytes:
        return self._post("messages", _to("all"), keyed)

    def personal(self, user: int, *, keyed: bool = False) -> bytes:
        return self._post("messages", _to({"users": [user]}), keyed)

    def batch(self, users: Sequence[int], *, keyed: bool = False) -> bytes:
        items = [_to({"users": [user]}) | ({"idempotency_key": _key()} if keyed else {}) for user in users]
        return self._post("messages/batch", {"items": items}, keyed=False)

    def progress(self, video: int, percent: float, owner: int | None) -> bytes:
        fields = {"video_id": video, "status": "processing", "progress": percent, "message": "已完成720p转码 (2/3)"}
        body = {"type": "transcode_progress", **fields, **({} if owner is None else {"user_id": owner})}
        return self._post("notifications", body, keyed=True)

    def _post(self, call: str, body: Any, keyed: bool) -> bytes:
        headers = {"Authorization": self._bearer, **({"Idempotency_Key": _key()} if keyed else {})}
        return post(f"/api/v1/{call}", body, **headers)


def _to(audience: Any) -> dict[str, Any]:
    return {"audience": audience, "message": MESSAGE}


def _key() -> str:
    return secrets.token_hex(18)  # as long as the UUIDs of the SDK
