"""Publishes events, and reads what clients got of them."""

from __future__ import annotations

from typing import Any

from tests.support.client import Client
from tests.support.cluster import Cluster, Router


async def published(router: Router, user: str, kind: str) -> bool:
    """Try to publish; may be repeated until the router can."""
    body = {"audience": {"users": [user]}, "message": {"type": kind}}
    answer = await router.post("messages", body, key=f"{user}-{kind}")
    assert answer.status_code == 202, answer.text
    return True


async def accepted(cluster: Cluster, audience: Any, kind: str) -> bool:
    """Publish, as often as it is called one and the same message, and return whether it was accepted."""
    body = {"audience": audience, "message": {"type": kind}}
    return (await cluster.router.post("messages", body, key=f"{cluster.prefix}-{kind}")).status_code == 202


async def send(cluster: Cluster, audience: Any, count: int = 1, **fields: Any) -> list[str]:
    """Publish events to a user, given by its number, or to a shared audience; return their ids."""
    to = {"users": [audience]} if isinstance(audience, int) else audience
    return [(await cluster.router.send(to, {"type": "event", **fields}))["id"] for _ in range(count)]


async def ids_of(client: Client, count: int) -> list[str]:
    return [message["id"] for message in await client.receive_many("event", count)]
