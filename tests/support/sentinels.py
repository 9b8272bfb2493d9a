"""Two servers, of which one follows the other, and Sentinels that watch them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import redis.asyncio as redis

from tests.support.ports import LOOPBACK, free_port
from tests.support.process import Process
from tests.support.redis_server import RedisServer, binary, chosen_flavour
from tests.support.waiting import until

MASTER = "videosite"
ENDLESS = 600_000  # ms
_AT_ONCE = {"repl-diskless-sync-delay": "0"}  # else a replica waits five seconds for others


class Sentinel(Process):
    """Watches a master.

    Args:
        patience: ms without an answer after which the master counts as down.
    """

    def __init__(self, directory: Path, master_port: int, quorum: int, *, patience: int = 1000) -> None:
        self.port = free_port()
        directory.mkdir(parents=True)
        config = directory / "sentinel.conf"
        config.write_text(
            f"bind {LOOPBACK}\nport {self.port}\ndir {directory}\n"
            f"sentinel monitor {MASTER} {LOOPBACK} {master_port} {quorum}\n"
            f"sentinel down-after-milliseconds {MASTER} {patience}\n"
            f"sentinel failover-timeout {MASTER} 5000\n"
        )
        super().__init__("sentinel", [binary(chosen_flavour()), str(config), "--sentinel"], {}, directory / "log")

    async def ask(self, *command: str) -> object:
        async with redis.Redis(host=LOOPBACK, port=self.port, decode_responses=True) as client:
            return await client.execute_command(*command)


class Watched:
    """Two servers under Sentinels; an async context manager."""

    def __init__(self, directory: Path, *, sentinels: int = 3) -> None:
        self.servers = [RedisServer(directory / f"redis-{n}", appendfsync="always", options=_AT_ONCE) for n in (1, 2)]
        first = self.servers[0].port
        quorum = sentinels // 2 + 1
        # One that is alone is there to be asked: it may not promote anybody because the machine was busy for a second.
        patience = 1000 if sentinels > 1 else ENDLESS
        self.sentinels = [
            Sentinel(directory / f"sentinel-{n}", first, quorum, patience=patience) for n in range(sentinels)
        ]
        self.url = self.servers[0].url  # where the services may not look

    @property
    def settings(self) -> dict[str, str]:
        addresses = ",".join(f"{LOOPBACK}:{sentinel.port}" for sentinel in self.sentinels)
        return {
            "REDIS_URL": f"redis://{LOOPBACK}:{free_port()}/0",
            "REDIS_SENTINELS": addresses,
            "REDIS_SENTINEL_MASTER": MASTER,
        }

    async def __aenter__(self) -> Watched:
        try:
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _start(self) -> None:
        await asyncio.gather(*(server.start() for server in self.servers))
        first, second = self.servers
        await command(second, "REPLICAOF", LOOPBACK, str(first.port))
        await self.in_step(first)
        for sentinel in self.sentinels:
            sentinel.launch()
        await until(self._all_known, timeout=20)

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.gather(*(process.end() for process in (*self.sentinels, *self.servers)))

    async def in_step(self, master: RedisServer) -> None:
        await in_step(master)

    async def master(self) -> RedisServer:
        """Return the server that the Sentinels name."""
        reply = await self.sentinels[-1].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        return next(server for server in self.servers if server.port == int(reply[1]))  # type: ignore[index]

    async def promoted(self, other_than: RedisServer) -> RedisServer:
        """Wait until another server is the master in everybody's word, the old one's too if it lives."""

        async def there() -> RedisServer | None:
            master = await self.master()
            old_is_one = other_than.running and await role(other_than) == "master"
            return master if master is not other_than and await role(master) == "master" and not old_is_one else None

        # Sentinels whose machine has paused trust their clocks no more and wait for half a minute.
        return await until(there, timeout=90)  # type: ignore[return-value]

    async def cut_off(self, master: RedisServer) -> None:
        """Let the master's replica hear nothing more of it; what is on its way is still heard."""
        await cut_off(master)

    async def _all_known(self) -> bool:
        async def knows(sentinel: Sentinel) -> bool:
            try:
                state = await sentinel.ask("SENTINEL", "MASTER", MASTER)
            except redis.RedisError:
                return False
            others = len(self.sentinels) - 1
            return (int(state["num-slaves"]), int(state["num-other-sentinels"])) == (1, others)  # type: ignore[index]

        return all([await knows(sentinel) for sentinel in self.sentinels])


async def in_step(master: RedisServer) -> None:
    """Wait until a master's replica has confirmed all that it has written by now."""
    written = (await command(master, "INFO", "replication"))["master_repl_offset"]

    async def confirmed() -> bool:
        replica = (await command(master, "INFO", "replication")).get("slave0", {})
        return replica.get("state") == "online" and replica["offset"] >= written

    await until(confirmed, timeout=20)


async def cut_off(master: RedisServer) -> None:
    await command(master, "ACL", "SETUSER", "default", "-psync", "-sync")
    await command(master, "CLIENT", "KILL", "TYPE", "replica")


async def command(server: RedisServer, *words: str):  # whatever the server answers
    async with redis.Redis(host=LOOPBACK, port=server.port, decode_responses=True) as client:
        return await client.execute_command(*words)


async def role(server: RedisServer) -> str:
    return (await command(server, "ROLE"))[0]
