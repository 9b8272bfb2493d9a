"""What every suite may use: a server for Redis, clusters of real processes, and their logs when a test fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support import nursery
from tests.support.cluster import Cluster, Service
from tests.support.redis_server import RedisServer

Service.forks = True
Cluster.page = Path(__file__).parent / "support" / "page"
NewCluster = Callable[..., Awaitable[Cluster]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def redis_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RedisServer]:
    """The one server of the whole run. Whoever stops or stalls a server takes ``own_redis``."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    await server.start()
    yield server
    await server.end()


@pytest.fixture
async def own_redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """A server of the test's own that writes everything down before it answers."""
    server = RedisServer(tmp_path / "redis", appendfsync="always")
    await server.start()
    yield server
    await server.end()


@pytest.fixture
async def new_cluster(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[NewCluster]:
    """`await new_cluster(nodes=2)`: a cluster of the test's own; ``redis=`` gives it another server."""
    clusters: list[Cluster] = []
    async with AsyncExitStack() as stack:

        async def make(*, nodes: int = 1, routers: int = 1, redis: RedisServer | None = None, **env: str) -> Cluster:
            directory = tmp_path / f"cluster-{len(clusters) + 1}"
            directory.mkdir()
            cluster = Cluster(redis or redis_server, directory, **env)
            clusters.append(cluster)
            stack.push_async_callback(cluster.close)
            await cluster.start(nodes=nodes, routers=routers)
            return cluster

        make.clusters = clusters  # type: ignore[attr-defined]  # for the report below
        yield make


@pytest.hookimpl(trylast=True)  # what fixtures still run ends first
def pytest_sessionfinish() -> None:
    nursery.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Show the logs of the clusters that a failed test used."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            clusters = [value] if isinstance(value, Cluster) else getattr(value, "clusters", [])
            for cluster in clusters:
                for service in cluster.services:
                    report.sections.append((f"log of {service.name}", service.log_tail()))
    return report
