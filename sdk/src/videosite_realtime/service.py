"""The asynchronous service. Its synchronous twin has the same calls; a test holds the two together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

import httpx

from videosite_realtime._calls import Calls
from videosite_realtime._connections import Connections
from videosite_realtime._core import Core, compose
from videosite_realtime._delivery import Delivery, Outcome, Send
from videosite_realtime._per_loop import ClientPerLoop
from videosite_realtime._tracing import calling
from videosite_realtime.receipts import ConnectionCount, ItemResult, Receipt
from videosite_realtime.requests import Publish, PublishBatch, ReadStats, Request
from videosite_realtime.retry import DEFAULT_RETRY, RetryPolicy

T = TypeVar("T")


class NotificationService(Calls[Receipt, ItemResult]):
    """Tells browsers what happens, through a router.

    Every call retries, under one idempotency key, while the router is away or without Redis: the message is neither
    lost nor doubled. One service serves any number of event loops: one after another (``asyncio.run`` per call), in
    several threads, after a fork. Within a loop connections stay open; they close with it. Close a service yourself
    (``async with``, ``aclose``) if its loop outlives it, or is run by neither ``asyncio.run`` nor a server.

    Args:
        router_url: such as ``http://router:8001``; by default ``ROUTER_URL``, read at the first call.
        api_key: a service key, or a JWT with the scope ``publish``; by default ``ROUTER_API_KEY``.
        retry: deadline, timeouts and back-off.
        sleep: how to wait between attempts, s.

    All calls raise:
        ConfigurationError: a setting is missing; nothing was sent.
        Undelivered: the deadline came first; ``resend(error.request)`` tries again without doubling.
        Refused: the router said no; ``AuthenticationError``, ``InvalidMessage`` and their like say why.
        UnexpectedAnswer: it was not a router that answered.
    """

    def __init__(
        self,
        router_url: str | None = None,
        api_key: str | None = None,
        *,
        retry: RetryPolicy = DEFAULT_RETRY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(compose)
        self._core = Core(router_url, api_key, retry)
        self._connections = ClientPerLoop(lambda: Connections(self._core.new_async_client))
        self._sleep = sleep

    # --- and besides

    async def resend(self, request: Request[T]) -> T:
        """Send again what an ``Undelivered`` carries: the same bytes under the same key, so nothing is doubled."""
        return await self._do(request)

    async def get_connection_count(self) -> ConnectionCount:
        """Return the cluster's four counters."""
        return await self._do(ReadStats())

    async def aclose(self) -> None:
        """Close this loop's connections. A later call opens new ones."""
        await self._connections.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _publish(self, request: Publish) -> Receipt:
        return await self._do(request)

    async def _publish_all(self, request: PublishBatch) -> list[ItemResult]:
        return await self._do(request)

    async def _do(self, request: Request[T]) -> T:
        with calling(request) as call:
            result = await self._bring(self._core.deliver(request, call))
            call.answered(result)
            return result

    async def _bring(self, delivery: Delivery[T]) -> T:
        outcome: Outcome | None = None
        while True:
            try:
                step = delivery.send(outcome)
            except StopIteration as done:
                result: T = done.value
                return result
            if isinstance(step, Send):
                outcome = await self._exchange(step)
            else:
                await self._sleep(step.seconds)
                outcome = None

    async def _exchange(self, send: Send) -> Outcome:
        connections = await self._connections.get()
        try:
            return await connections.request(
                send.method, send.url, headers=send.headers, content=send.content, timeout=send.timeout
            )
        except httpx.RequestError as exc:
            return exc
