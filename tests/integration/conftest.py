"""A cluster that the tests of one file share: they use users and videos of their own and disturb nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.cluster import Cluster
from tests.support.redis_server import RedisServer

ADMIN_PAGE = "https://admin.example.com"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Two nodes and two routers. Whatever the tests did: none of the four may have had anything to complain about."""
    cluster = Cluster(redis_server, tmp_path_factory.mktemp("cluster"), BACKEND_CORS_ORIGINS=ADMIN_PAGE)
    try:
        await cluster.start(nodes=2, routers=2)
        yield cluster
    finally:
        await cluster.close()
    assert cluster.complaints() == []
