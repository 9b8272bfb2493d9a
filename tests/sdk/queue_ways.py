"""The asynchronous and the synchronous queue of the SDK, called in the same way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.asyncio as redis
from videosite_realtime import RetryPolicy
from videosite_realtime._queue_client import CLIENT_NAME
from videosite_realtime.queue import NotificationQueue
from videosite_realtime.sync_queue import SyncNotificationQueue

from tests.support.ports import LOOPBACK
from tests.support.redis_server import RedisServer
from tests.support.sentinels import command

KEY = "sdk:queue:{c}"


SHORT = RetryPolicy(deadline=0.3)


PATIENT = RetryPolicy(deadline=90, first_delay=0.05, longest_delay=0.2)


class Way:
    """Either queue, called in the same way; it tells when it has begun to wait for another attempt."""

    def __init__(self, kind: str, **given: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self.waits = asyncio.Event()
        given = {"prefix": "sdk", "retry": PATIENT, **given}
        self._queue: Any
        if kind == "async":
            self._queue = NotificationQueue(sleep=self._sleep, **given)
        else:
            self._queue = SyncNotificationQueue(sleep=self._block, **given)

    async def append(self, number: int) -> str:
        """Append a message; returns its key."""
        message = {"type": "numbered", "n": number}
        if isinstance(self._queue, NotificationQueue):
            return (await self._queue.broadcast(message)).idempotency_key
        return (await asyncio.to_thread(self._queue.broadcast, message)).idempotency_key

    async def close(self) -> None:
        await (
            self._queue.aclose() if isinstance(self._queue, NotificationQueue) else asyncio.to_thread(self._queue.close)
        )

    async def _sleep(self, seconds: float) -> None:
        self.waits.set()
        await asyncio.sleep(seconds)

    def _block(self, seconds: float) -> None:
        asyncio.run_coroutine_threadsafe(self._sleep(seconds), self._loop).result()


both = pytest.mark.parametrize("kind", ["async", "sync"])


NewWay = Callable[..., Way]


@pytest.fixture
async def way(kind: str) -> AsyncIterator[NewWay]:
    made: list[Way] = []

    def make(**given: Any) -> Way:
        made.append(Way(kind, **given))
        return made[-1]

    yield make
    for each in made:
        await each.close()


def address(server: RedisServer) -> str:
    return f"{LOOPBACK}:{server.port}"


async def keys_on(server: RedisServer) -> list[str]:
    """Return the keys of the messages that a server has, whether the slot is its own or not."""
    async with redis.Redis(host=LOOPBACK, port=server.port, decode_responses=True) as client:
        return [fields["key"] for _, fields in await client.xrange(KEY)]


async def connections(server: RedisServer) -> int:
    return (await command(server, "CLIENT", "LIST")).count(f"name={CLIENT_NAME} ")
