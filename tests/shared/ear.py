"""A subscriber to the channels on which ``publish.lua`` publishes, and Redis's clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared import envelope
from shared.envelope import Envelope
from shared.redis_link import RedisLink
from tests.shared.redis_server import RedisServer, until

SECOND = 1_000_000


class Ear:
    """Hears channels, as a node does."""

    def __init__(self, link: RedisLink, commands: RedisLink, publishes: list[tuple[str, bytes]]) -> None:
        self._link, self._commands, self._publishes = link, commands, publishes
        self._confirmed = 0

    async def listen(self, *channels: str) -> None:
        for channel in channels:
            self._link.tell("SUBSCRIBE", channel)
        await self._link.send("PING")

    async def heard(self) -> list[tuple[str, list[Envelope]]]:
        """Return every publish so far: its channel, its envelopes."""
        await self._commands.send("PUBLISH", "end", "end")
        await until(lambda: ("end", b"end") in self._publishes)
        messages = [publish for publish in self._publishes if publish[0] != "end"]
        self._publishes.clear()
        return [(channel, list(envelope.read(data))) for channel, data in messages]

    async def envelopes(self) -> list[Envelope]:
        return [message for _, messages in await self.heard() for message in messages]


@pytest.fixture
async def ear(redis_server: RedisServer, link: RedisLink) -> AsyncIterator[Ear]:
    publishes: list[tuple[str, bytes]] = []

    def take(push: list[Any]) -> None:
        if push[0] == b"message":
            publishes.append((push[1].decode(), push[2]))

    async with RedisLink(redis_server.url, name="ear", on_push=take) as own:
        assert await own.wait_connected(20)
        ear = Ear(own, link, publishes)
        await ear.listen("end")
        yield ear


async def now_us(link: RedisLink) -> int:
    seconds, micros = await link.send("TIME")
    return int(seconds) * SECOND + int(micros)
