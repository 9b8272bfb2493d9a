"""Two nodes and a router behind both proxies; and, from the start on, who stays there though nothing is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio

from tests.support.client import Client
from tests.support.cluster import Cluster
from tests.support.event_stream import EventStream, events_path
from tests.support.proxies import Proxy, haproxy, nginx
from tests.support.redis_server import RedisServer

PROXY_ADDRESS = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Silent:
    """A user's socket, event stream and longest poll, on which nothing is said, and since when."""

    user: str
    socket: Client
    stream: EventStream
    poll: asyncio.Task[httpx.Response]
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
    """A user's socket and stream through each proxy, and another's poll, begun before all else."""
    async with AsyncExitStack() as stack:
        found = {}
        for name, proxy in proxies.items():
            user = f"silent-{name}"
            token = cluster.tokens.user(user)
            socket = await stack.enter_async_context(await Client.open(proxy.socket_url(token=token)))
            await socket.receive("connected")
            stream = await stack.enter_async_context(EventStream.welcomed(proxy, token))
            poll = asyncio.create_task(longest_poll(proxy, cluster.tokens.user(f"patient-{name}")))
            stack.callback(poll.cancel)
            found[name] = Silent(user, socket, stream, poll, asyncio.get_running_loop().time())
        yield found


async def longest_poll(proxy: Proxy, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    async with proxy.http(timeout=60) as http:
        since = (await http.get(events_path(), headers=headers)).json()["cursor"]
        return await http.get(events_path(), headers=headers, params={"since": since, "wait": 25})


@pytest.fixture(params=["nginx", "haproxy"])
def proxy(proxies: dict[str, Proxy], request: pytest.FixtureRequest) -> Proxy:
    return proxies[request.param]
