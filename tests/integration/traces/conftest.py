"""A cluster whose traces are collected."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support.cluster import Cluster
from tests.support.collector import Collector
from tests.support.redis_proxy import RedisProxy
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector().running() as collector:
        yield collector


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(redis_server: RedisServer) -> AsyncIterator[RedisProxy]:
    async with RedisProxy(redis_server.port).running() as proxy:
        yield proxy


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(
    redis_server: RedisServer, collector: Collector, proxy: RedisProxy, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cluster]:
    """A router and two nodes that trace everything; the second node hears through the proxy."""
    cluster = Cluster(redis_server, tmp_path_factory.mktemp("cluster"), **collector.env)
    try:
        await cluster.start(nodes=1)
        await cluster.start_node(REDIS_URL=proxy.url)
        yield cluster
    finally:
        await cluster.close()
    assert cluster.complaints() == []
