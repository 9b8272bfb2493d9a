"""Where the ear goes when the shared tag's server is there again; what it hears is tested with real nodes."""

from __future__ import annotations

from typing import Any, Final

import pytest
from redis.asyncio.connection import AbstractConnection

from node.bus import Bus
from shared.keys import Keys
from shared.redis_address import RedisAddress
from shared.redis_link import RedisLink
from shared.tasks import running
from tests.shared.redis_server import RedisServer, until

NODE: Final = "node-1.5f3c"


class SecondChoice(RedisAddress):
    """Says of every connection that a better one was not to be had."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.connections = 0
        self.elsewhere = True

    async def connect(self, *, name: str, timeout: float) -> AbstractConnection:
        self.connections += 1
        return await super().connect(name=name, timeout=timeout)


async def test_an_ear_elsewhere_goes_back_once_for_every_connection_to_the_shared_tags_server(
    redis_server: RedisServer, link: RedisLink, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That server may take commands and no ear: it must not be tried for ever."""
    monkeypatch.setattr("node.bus.PROBE_INTERVAL", 0.01)
    where, pushes = SecondChoice(redis_server.url), list[Any]()
    async with (
        RedisLink(redis_server.url, name="witness", on_push=pushes.append) as witness,
        Bus(where, keys, link, lambda _: None, no_comparison, timeout=3) as bus,
        running(bus.run(), "bus"),
    ):
        await bus.use_node_channel(NODE)
        assert await witness.wait_connected(20)
        witness.tell("SUBSCRIBE", keys.node_channel(NODE))
        for connections in (2, 3):
            await until(lambda wanted=connections: where.connections == wanted and bus.link.connected)
            probes = len(pushes) + 10
            await until(lambda wanted=probes: len(pushes) >= wanted)
            assert where.connections == connections
            link.drop()


async def no_comparison() -> None:
    """Nothing was missed."""
