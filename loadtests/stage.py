"""Where the measures take place: Redis, nodes and routers on one core, whoever measures on the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from tests.support.cluster import Cluster
from tests.support.redis_server import RedisServer

SERVER_CORE, CLIENT_CORE = 0, 1
_PATIENCE = 120.0  # s


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started inside runs on this core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.asynccontextmanager
async def stage(*, nodes: int = 1, routers: int = 1, persistent: bool = True, **env: str) -> AsyncIterator[Cluster]:
    """Start a cluster on the servers' core, and go on on the clients'; ``persistent``: Redis writes to disk."""
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        redis = RedisServer(scratch / "redis", persistent=persistent)
        cluster = Cluster(redis, scratch, LOG_LEVEL="WARNING", **env)
        try:
            with on_core(SERVER_CORE):
                await redis.start()
                await _start(cluster, nodes, routers)
            with on_core(CLIENT_CORE):
                yield cluster
        finally:
            await cluster.close()
            await redis.end()


async def _start(cluster: Cluster, nodes: int, routers: int) -> None:
    """Start all at once; on one core, perhaps beside others, eight nodes take their time."""
    services = [cluster.add_router() for _ in range(routers)] + [cluster.add_node() for _ in range(nodes)]
    for service in services:
        service.launch()
    await asyncio.gather(*(service.ready(_PATIENCE) for service in services))
