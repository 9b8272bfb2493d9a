"""Three nodes, two routers and a server for Redis that syncs every write, with a proxy on every way between them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Self

from tests.faults.schedule import CLIENTS, NODES, PRODUCERS, REDIS, ROUTERS, WAYS, way
from tests.support.cluster import Cluster, Service
from tests.support.ports import LOOPBACK
from tests.support.redis_server import RedisServer
from tests.support.tcp_proxy import TcpProxy

# What a client must bear is as the defaults have it; only what would make a run long is shorter.
_SETTINGS: Final = {"HEARTBEAT_TIMEOUT": "8", "HEARTBEAT_INTERVAL": "2", "DRAIN_SECONDS": "2"}


class Stage:
    """An async context manager: everything runs and is ready inside it.

    Attributes:
        ways: the proxies, by the schedule's names.
        clients_ports: where clients connect, in the order of ``NODES``.
        producers_ports: where producers call, in the order of ``ROUTERS``.
    """

    def __init__(self, directory: Path) -> None:
        self.redis = RedisServer(directory / "redis", appendfsync="always")
        self.cluster = Cluster(self.redis, directory, **_SETTINGS)
        self.ways: dict[str, TcpProxy] = {}
        self._services: dict[str, Service] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._set_up()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def _set_up(self) -> None:
        self._stack.push_async_callback(self.redis.end)
        await self.redis.start()
        for name in (*ROUTERS, *NODES):
            self.ways[way(name, REDIS)] = await self._stack.enter_async_context(TcpProxy(self.redis.port))
        for name in ROUTERS:
            self._services[name] = self.cluster.add_router(REDIS_URL=self._redis_url(name))
        for name in NODES:
            self._services[name] = self.cluster.add_node(REDIS_URL=self._redis_url(name))
        for near, names in ((CLIENTS, NODES), (PRODUCERS, ROUTERS)):
            for name in names:
                proxy = TcpProxy(self._services[name].port)
                self.ways[way(near, name)] = await self._stack.enter_async_context(proxy)
        assert set(self.ways) == set(WAYS)
        self._stack.push_async_callback(self.cluster.close)
        for service in self._services.values():
            service.launch()
        for service in self._services.values():
            await service.ready()

    def _redis_url(self, name: str) -> str:
        return f"redis://{LOOPBACK}:{self.ways[way(name, REDIS)].port}/0"

    def process(self, name: str) -> Service | RedisServer:
        return self.redis if name == REDIS else self._services[name]

    @property
    def clients_ports(self) -> list[int]:
        return [self.ways[way(CLIENTS, node)].port for node in NODES]

    @property
    def producers_ports(self) -> list[int]:
        return [self.ways[way(PRODUCERS, router)].port for router in ROUTERS]

    def unused_ways(self) -> list[str]:
        """Name the ways that nothing has passed: to cut them breaks nothing."""
        return [name for name, proxy in self.ways.items() if not proxy.passed]

    def tracebacks(self) -> list[str]:
        """Name the services whose logs hold an exception that nobody expected."""
        return [service.name for service in self.cluster.services if "Traceback" in service.log()]
