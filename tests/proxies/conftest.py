"""Two nodes and a router behind both proxies; and, from the start of the file on, sockets on which nothing is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.support.client import Client
from tests.support.cluster import Cluster
from tests.support.proxies import Proxy, haproxy, nginx
from tests.support.redis_server import RedisServer

PROXY_ADDRESS = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Silent:
    """A client that says nothing, and when it began to."""

    client: Client
    since: float


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    cluster = Cluster(
        redis_server,
        tmp_path_factory.mktemp("cluster"),
        HEARTBEAT_TIMEOUT="300",
        TRUSTED_PROXIES=PROXY_ADDRESS,
        LOG_LEVEL="DEBUG",
        LOG_FORMAT="json",
    )
    await cluster.start(nodes=2)
    yield cluster
    await cluster.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def proxies(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Proxy]]:
    directory = tmp_path_factory.mktemp("proxies")
    both = [nginx(cluster.nodes, directory / "nginx"), haproxy(cluster.nodes, directory / "haproxy")]
    async with AsyncExitStack() as stack:
        for proxy in both:
            await proxy.start()
            stack.push_async_callback(proxy.end)
        yield {proxy.name: proxy for proxy in both}


@pytest_asyncio.fixture(scope="session", loop_scope="session", autouse=True)
async def silent(cluster: Cluster, proxies: dict[str, Proxy]) -> AsyncIterator[dict[str, Silent]]:
    """A user's socket through each proxy, opened before all else."""
    async with AsyncExitStack() as stack:
        sockets = {}
        for name, proxy in proxies.items():
            url = proxy.socket_url(token=cluster.tokens.user(f"silent-{name}"))
            client = await stack.enter_async_context(await Client.open(url))
            await client.receive("connected")
            sockets[name] = Silent(client, asyncio.get_running_loop().time())
        yield sockets


@pytest.fixture(params=["nginx", "haproxy"])
def proxy(proxies: dict[str, Proxy], request: pytest.FixtureRequest) -> Proxy:
    return proxies[request.param]
