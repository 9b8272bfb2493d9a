"""The registry as it lies in Redis, past everything that the services make of it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis.asyncio as redis

from shared.cluster import parse_places
from shared.keys import BUCKETS, Keys
from tests.support.cluster import Cluster


class Registry:
    def __init__(self, server: redis.Redis, keys: Keys) -> None:
        self._server, self._keys = server, keys

    @classmethod
    @asynccontextmanager
    async def of(cls, cluster: Cluster) -> AsyncIterator[Registry]:
        async with redis.Redis.from_url(cluster.redis.url) as server:
            yield cls(server, Keys(cluster.prefix))

    async def users(self) -> dict[str, dict[str, int]]:
        """Return, by user, its connections on each node id."""
        tables = await asyncio.gather(*(self._server.hgetall(self._keys.users(str(tag))) for tag in range(BUCKETS)))
        return {user.decode(): parse_places(entry) for table in tables for user, entry in table.items()}

    async def held(self) -> dict[str, dict[str, int]]:
        """Return, by node id, the users it is said to hold: the reverse of ``users``."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        async for key in self._server.scan_iter(self._keys.held("*", "*").replace("{*}", "{[0-9]*}"), count=1000):
            users = await self._server.hgetall(key)
            found[key.decode().rpartition(":")[2]].update(
                {user.decode(): int(count) for user, count in users.items() if user != b"#rev"}
            )
        return found

    async def node_ids(self) -> set[str]:
        """Return every node id that anything in the registry names as if it lived."""
        listed = await asyncio.gather(
            self._server.zrange(self._keys.leases, 0, -1),
            self._server.hkeys(self._keys.nodes),
            self._server.hkeys(self._keys.counts),
            self._server.zrange(self._keys.dying, 0, -1),
        )
        named = {node for places in (await self.users()).values() for node in places}
        return named | {*(await self.held())} | {node.decode() for nodes in listed for node in nodes}
