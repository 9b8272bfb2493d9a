"""A producer that keeps publishing to one user while things break, and what its user's browsers must have then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx

from tests.support.cluster import Router
from tests.support.courier import Courier
from tests.support.waiting import until


class Producer:
    """Publishes numbered messages one after another, and repeats what failed.

    Args:
        own_keys: every call brings a key of its own, so that a router may vanish in the middle of it. Otherwise every
            other does, and the rest are repeated with the key that a 503 names.
    """

    def __init__(self, router: Router, user: str, *, own_keys: bool = False) -> None:
        self.user, self.own_keys = user, own_keys
        self.accepted: list[str] = []
        self._courier = Courier([router], timeout=15)
        self._stop = asyncio.Event()

    @property
    def refusals(self) -> list[httpx.Response]:
        return self._courier.refusals

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[Producer]:
        task = asyncio.create_task(self._run())
        try:
            yield self
            self._stop.set()
            await asyncio.wait_for(task, 60)
        finally:
            task.cancel()

    async def _run(self) -> None:
        async with self._courier:
            while not self._stop.is_set():
                await self._publish(len(self.accepted))

    async def _publish(self, number: int) -> None:
        body = {"audience": {"users": [self.user]}, "message": {"type": "numbered", "n": number}}
        key = f"{self.user}-{number}" if self.own_keys or number % 2 else None
        answer = await self._courier.deliver("messages", body, key=key)
        assert answer is not None, "the router vanished in the middle of a call without a key"
        self.accepted.append(answer["id"])

    async def published(self, more: int) -> None:
        wanted = len(self.accepted) + more
        await until(lambda: len(self.accepted) >= wanted, timeout=40)

    async def was_refused(self) -> None:
        seen = len(self.refusals)
        await until(lambda: len(self.refusals) > seen, timeout=30)


@asynccontextmanager
async def all_at_work(producers: Sequence[Producer]) -> AsyncIterator[None]:
    async with AsyncExitStack() as work:
        for producer in producers:
            await work.enter_async_context(producer.at_work())
        yield


async def all_published(producers: Sequence[Producer], more: int = 20) -> None:
    """Wait until each has published so many more."""
    await asyncio.gather(*(producer.published(more) for producer in producers))


async def assert_all_arrived(producer: Producer, *browsers: Any) -> None:
    for browser in browsers:
        received = await browser.receive_many("numbered", len(producer.accepted))
        assert [message["n"] for message in received] == list(range(len(producer.accepted)))
        assert [message["id"] for message in received] == producer.accepted
        await browser.nothing_else()  # neither a repetition nor a resync
        assert browser.is_open


def assert_refusals_help(producer: Producer) -> None:
    """Assert that every refusal said when to try again, and under which key."""
    for answer in producer.refusals:
        assert int(answer.headers["retry-after"]) > 0
        key = answer.json()["operation_key"]
        assert answer.request.headers.get("Idempotency-Key", key) == key
        assert answer.json()["detail"]
