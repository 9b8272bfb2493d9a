"""The queue of a cluster, as a producer with ``redis-cli`` and its operator see it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio as redis

from shared.keys import Keys
from tests.support.cluster import Cluster, Router


class Queue:
    def __init__(self, client: redis.Redis, cluster: Cluster) -> None:
        self._client, self._cluster, self._keys = client, cluster, Keys(cluster.prefix)

    @classmethod
    @asynccontextmanager
    async def of(cls, cluster: Cluster, url: str | None = None) -> AsyncIterator[Queue]:
        async with redis.Redis.from_url(url or cluster.redis.url, decode_responses=True) as client:
            yield cls(client, cluster)

    async def append(self, kind: str, body: Any, **more: str) -> str:
        text = body if isinstance(body, str) else json.dumps(body)
        entry_id: str = await self._client.xadd(self._keys.queue, {"kind": kind, "body": text, **more})
        return entry_id

    async def append_numbered(self, user: int | str, numbers: Sequence[int]) -> None:
        """Append events of one user, as fast as can be."""
        pipeline = self._client.pipeline(transaction=False)
        for number in numbers:
            body = {"audience": {"users": [user]}, "message": {"type": "numbered", "n": number}}
            pipeline.xadd(self._keys.queue, {"kind": "messages", "body": json.dumps(body)})
        await pipeline.execute()

    async def waiting(self) -> int:
        count: int = await self._client.xlen(self._keys.queue)
        return count

    async def is_begun(self, count: int) -> bool:
        """Wait until a queue of so many entries has fewer; return whether there are any left."""
        while (left := await self.waiting()) >= count:
            pass
        return left > 0

    async def is_empty(self) -> bool:
        return await self.waiting() == 0

    async def may_publish(self, may: bool) -> None:
        """Give everybody on this server the right to publish to channels, or take it away."""
        await self._client.execute_command("ACL", "SETUSER", "default", "allchannels" if may else "resetchannels")

    async def dead(self) -> list[dict[str, str]]:
        return [fields for _, fields in await self._client.xrange(self._keys.queue_dead)]

    async def reader(self) -> Router | None:
        """Return the router whose turn it is."""
        holder = await self._client.get(self._keys.queue_turn) or ""
        return next((router for router in self._cluster.routers if holder.startswith(f"{router.name}.")), None)
