"""A Redis Cluster of real servers: three masters that share out the slots, two of them with a replica."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import redis.asyncio as redis
from redis.crc import key_slot

from shared.keys import BUCKET_TAGS, bucket
from tests.support.ports import LOOPBACK, free_port
from tests.support.redis_server import Flavour, RedisServer
from tests.support.sentinels import command, cut_off, in_step, role
from tests.support.waiting import until

Slots = tuple[int, int]  # first and last

_OPTIONS = {
    "cluster-enabled": "yes",
    "cluster-node-timeout": "1500",
    "cluster-require-full-coverage": "no",  # a shard that is away stops no other
    "cluster-replica-validity-factor": "0",
    "cluster-allow-replica-migration": "no",
    "enable-debug-command": "local",
    "repl-diskless-sync-delay": "0",  # else a replica waits five seconds for others
}
# Shared out so that one master has a bucket to itself, one the shared tag and two buckets, one a bucket and no replica.
_RANGES = ((0, 5460), (5461, 10922), (10923, 16383))
_REPLICAS_OF = (0, 1)


class Shard(RedisServer):
    """A server of the cluster.

    Args:
        options: beside those of any cluster's.
    """

    def __init__(
        self, directory: Path, *, flavour: Flavour | None = None, options: Mapping[str, str] | None = None
    ) -> None:
        self.bus_port = free_port()
        every = {**_OPTIONS, "cluster-port": str(self.bus_port), **(options or {})}
        super().__init__(directory, appendfsync="always", flavour=flavour, options=every)

    @property
    def address(self) -> str:
        """Where the services find it."""
        return f"{LOOPBACK}:{self.port}"

    async def id(self) -> str:
        return await command(self, "CLUSTER", "MYID")

    async def says(self, field: str) -> str:
        """Return a field of ``CLUSTER INFO``."""
        lines = (await command(self, "CLUSTER", "INFO")).split()
        return dict(line.split(":", 1) for line in lines)[field]

    async def follows(self) -> bool:
        """Whether it is a replica that has all it needs of its master."""
        return (await command(self, "INFO", "replication")).get("master_link_status") == "up"


class Shards:
    """An async context manager.

    Args:
        ranges: the slots of each master.
        replicas_of: a master's number for each replica.
        make: makes a server that keeps its data in a folder.
    """

    def __init__(
        self,
        directory: Path,
        *,
        ranges: Sequence[Slots] = _RANGES,
        replicas_of: Sequence[int] = _REPLICAS_OF,
        make: Callable[[Path], Shard] = Shard,
    ) -> None:
        self._ranges, self._replicas_of = ranges, replicas_of
        self.servers = [make(directory / f"redis-{n}") for n in range(len(ranges) + len(replicas_of))]
        self.url = f"redis://{LOOPBACK}:{free_port()}/0"  # where the services may not look

    @property
    def settings(self) -> dict[str, str]:
        """What makes the services use it: two seeds, and neither holds the shared tag at the beginning."""
        seeds = (self.servers[-1], self.servers[0])
        return {"REDIS_CLUSTER_NODES": ",".join(seed.address for seed in seeds)}

    async def __aenter__(self) -> Shards:
        try:
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.gather(*(server.end() for server in self.servers))

    async def _start(self) -> None:
        await asyncio.gather(*(server.start() for server in self.servers))
        for number, server in enumerate(self.servers, 1):
            await command(server, "CLUSTER", "SET-CONFIG-EPOCH", str(number))
        for server, (first, last) in zip(self.servers, self._ranges, strict=False):
            await command(server, "CLUSTER", "ADDSLOTSRANGE", str(first), str(last))
        here, *others = self.servers
        for other in others:
            await command(here, "CLUSTER", "MEET", LOOPBACK, str(other.port), str(other.bus_port))
        await until(self._all_met, timeout=60)
        for replica, master in zip(self.servers[len(self._ranges) :], self._replicas_of, strict=True):
            await command(replica, "CLUSTER", "REPLICATE", await self.servers[master].id())
        await self.whole()

    async def _all_met(self) -> bool:
        known = [int(await server.says("cluster_known_nodes")) for server in self.servers]
        return set(known) == {len(self.servers)}

    async def whole(self) -> None:
        """Wait until every server is in its place: masters serve every slot, replicas follow."""

        async def all_in_place() -> bool:
            masters = [await role(server) for server in self.servers].count("master")
            return masters == len(self._ranges) and all([await _in_place(server) for server in self.servers])

        await until(all_in_place, timeout=60)

    async def heal(self) -> None:
        """Start those who were killed, and wait as above."""
        await asyncio.gather(*(server.start() for server in self.servers if not server.running))
        await self.whole()

    # --- who is where

    async def master(self, tag: str) -> Shard:
        """Return the server that holds a hash tag in the word of one that lives."""
        slot = key_slot(tag.encode())
        teller = next(server for server in self.servers if server.running)
        for first, last, (_, port, *_), *_ in await command(teller, "CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(server for server in self.servers if server.port == port)
        raise AssertionError(f"nobody holds {tag!r}")

    async def replica(self, master: Shard) -> Shard:
        masters_id = await master.id()
        (line,) = await command(master, "CLUSTER", "REPLICAS", masters_id)
        return next(server for server in self.servers if line.split()[1].startswith(f"{LOOPBACK}:{server.port}@"))

    async def tags_elsewhere(self, master: Shard) -> list[str]:
        """Return the hash tags of buckets that other servers hold."""
        return [tag for tag in BUCKET_TAGS if await self.master(tag) is not master]

    # --- what a test does to it

    async def in_step(self, master: Shard) -> None:
        """Wait until its replica has confirmed all that it has written by now."""
        await in_step(master)

    async def cut_off(self, master: Shard) -> None:
        """Let a master's replica hear nothing more of it; what is on its way is still heard."""
        await cut_off(master)

    async def promoted(self, replica: Shard) -> None:
        """Wait until a replica is the master in everybody's word."""

        async def there() -> bool:
            id_there = await replica.id()
            for server in filter(lambda server: server.running, self.servers):
                slots = await command(server, "CLUSTER", "SLOTS")
                if not any(holder[2] == id_there for _, _, holder, *_ in slots):
                    return False
            return True

        await until(there, timeout=60)

    async def hand_over(self, replica: Shard) -> None:
        """Make a replica the master while its master works.

        It gives up after five seconds, for example when others are elected at the same time; then it is asked again.
        """
        promoted = asyncio.create_task(self.promoted(replica))
        while not promoted.done():
            with contextlib.suppress(redis.ResponseError):  # it is a master already, and not everybody knows yet
                await command(replica, "CLUSTER", "FAILOVER")
            await asyncio.wait((promoted,), timeout=6)
        await promoted

    async def move_slot(self, tag: str, to: Shard) -> None:
        """Move the slot of a hash tag to another master, key by key, while it is in use."""
        await self.begin_move(tag, to)
        await self.end_move(tag, to)

    async def begin_move(self, tag: str, to: Shard) -> None:
        """Move the slot's keys. Until the end the slot is the old owner's, which sends those who ask elsewhere."""
        slot, source = str(key_slot(tag.encode())), await self.master(tag)
        await command(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", await source.id())
        await command(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", await to.id())
        async with redis.Redis(host=LOOPBACK, port=source.port) as client:
            while keys := await client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, "10"):
                await client.execute_command("MIGRATE", LOOPBACK, to.port, "", 0, 5000, "KEYS", *keys)

    async def end_move(self, tag: str, to: Shard) -> None:
        """Give the slot to its new owner, as every other server then knows."""
        slot, source = str(key_slot(tag.encode())), await self.master(tag)
        masters = [server for server in self.servers if await role(server) == "master"]
        for server in sorted(masters, key=lambda server: (server is not to, server is not source)):
            await command(server, "CLUSTER", "SETSLOT", slot, "NODE", await to.id())


async def _in_place(server: Shard) -> bool:
    if await server.says("cluster_state") != "ok" or await server.says("cluster_slots_ok") != "16384":
        return False
    return await role(server) == "master" or await server.follows()


def user_of(tag: str, name: str = "user") -> str:
    """Return a user who lives in a bucket."""
    return next(user for user in (f"{name}-{n}" for n in range(1000)) if bucket(user) == tag)
