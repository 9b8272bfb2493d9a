"""What tests of the link to Redis need of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from shared.redis_link import RedisLink
from tests.shared.redis_server import RecordingProxy, RedisServer


@pytest.fixture
async def proxy(redis_server: RedisServer) -> AsyncIterator[RecordingProxy]:
    async with RecordingProxy(redis_server.port).running() as proxy:
        yield proxy


async def connected(link: RedisLink) -> RedisLink:
    assert await link.wait_connected(20)
    return link


async def own_id(link: RedisLink) -> int:
    number: int = await link.send("CLIENT", "ID")
    return number
