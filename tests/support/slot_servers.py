"""Servers of a Redis Cluster whose slots are given out by hand, so that a test says which server has what, and when."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import redis.asyncio as redis

from tests.support.ports import LOOPBACK, free_port
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

_LAST_SLOT = 16383
_OPTIONS = {"cluster-enabled": "yes", "cluster-require-full-coverage": "no"}


class SlotServers:
    """Servers that know each other; an async context manager. The second has one slot that matters.

    Each of the others but the first has some slot of its own, for a server that gives its last one away follows the new
    owner; the first has the rest.

    Args:
        slot: the one that matters.
        count: at least 2.
        config: a file that each reads first.
    """

    def __init__(self, directory: Path, slot: int, *, count: int = 2, config: Path | None = None) -> None:
        self.slot = slot
        self._buses = [free_port() for _ in range(count)]
        self.servers = [
            RedisServer(directory / f"server-{n}", config=config, options={**_OPTIONS, "cluster-port": str(bus)})
            for n, bus in enumerate(self._buses)
        ]

    async def __aenter__(self) -> SlotServers:
        try:
            await asyncio.gather(*(server.start() for server in self.servers))
            await self._join()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.gather(*(server.end() for server in self.servers))

    async def _join(self) -> None:
        first, second, *_ = self.servers
        await command(first, "CLUSTER", "ADDSLOTSRANGE", 0, self.slot - 1, self.slot + len(self.servers), _LAST_SLOT)
        await command(second, "CLUSTER", "ADDSLOTS", self.slot)
        for n, server in enumerate(self.servers[1:], 1):
            await command(server, "CLUSTER", "ADDSLOTS", self.slot + n)
        for epoch, server in enumerate(self.servers, 1):
            await command(server, "CLUSTER", "SET-CONFIG-EPOCH", epoch)
        for server, bus in zip(self.servers[1:], self._buses[1:], strict=True):
            await command(first, "CLUSTER", "MEET", LOOPBACK, server.port, bus)
        await until(self._all_agree, timeout=20)

    async def _all_agree(self) -> bool:
        for server in self.servers:
            state = await command(server, "CLUSTER", "INFO")
            if f"cluster_known_nodes:{len(self.servers)}" not in state or "cluster_state:ok" not in state:
                return False
            if await self.owner(asked=server) is not self.servers[1]:
                return False
        return True

    async def owner(self, asked: RedisServer) -> RedisServer | None:
        """Return who has the slot, in the word of one of them."""
        for first, last, (_, port, *_), *_ in await command(asked, "CLUSTER", "SLOTS"):
            if first <= self.slot <= last:
                return next(server for server in self.servers if server.port == port)
        return None

    async def begin_move(self, to: RedisServer, key: str) -> None:
        """Move the slot's one key. Until the end the slot is the old owner's, which sends those who ask elsewhere."""
        old = await self.owner(asked=self.servers[0])
        assert old is not None
        await command(to, "CLUSTER", "SETSLOT", self.slot, "IMPORTING", await command(old, "CLUSTER", "MYID"))
        await command(old, "CLUSTER", "SETSLOT", self.slot, "MIGRATING", await command(to, "CLUSTER", "MYID"))
        await command(old, "MIGRATE", LOOPBACK, to.port, key, 0, 5000)

    async def end_move(self, to: RedisServer) -> None:
        """Give the slot to its new owner, as every other server then knows."""
        name = await command(to, "CLUSTER", "MYID")
        await command(to, "CLUSTER", "SETSLOT", self.slot, "NODE", name)
        for server in self.servers:
            if server is not to:
                await command(server, "CLUSTER", "SETSLOT", self.slot, "NODE", name)


async def command(server: RedisServer, *words: str | int) -> Any:  # whatever the server answers
    async with redis.Redis(host=LOOPBACK, port=server.port, decode_responses=True) as client:
        client.response_callbacks.clear()
        return await client.execute_command(*words)
