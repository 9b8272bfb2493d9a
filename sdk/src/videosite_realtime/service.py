"""The asynchronous service. Its synchronous twin has the same calls; a test holds the two together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Self, TypeVar

import httpx

from videosite_realtime._core import Core
from videosite_realtime._delivery import Delivery, Outcome, Send
from videosite_realtime._per_loop import ClientPerLoop
from videosite_realtime._tracing import calling
from videosite_realtime.receipts import ConnectionCount, ItemResult, Receipt
from videosite_realtime.requests import Audience, Expiry, Fields, Level, ReadStats, Request, UserId
from videosite_realtime.retry import DEFAULT_RETRY, RetryPolicy

T = TypeVar("T")


class NotificationService:
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
        self._core = Core(router_url, api_key, retry)
        self._compose = self._core.compose
        self._clients = ClientPerLoop(self._core.new_async_client)
        self._sleep = sleep

    # --- transcodes: to the admin pool, and to the video's owner if one is named

    async def notify_transcode_progress(
        self,
        video_id: int,
        status: str,
        progress: float,
        message: str = "",
        user_id: UserId | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Say how far a transcode is, 0 to 100. Only a video's newest progress counts, by the time of this call."""
        return await self._do(
            self._compose.transcode_progress(video_id, status, progress, message, user_id, idempotency_key)
        )

    async def notify_transcode_complete(
        self,
        video_id: int,
        title: str,
        format_type: str,
        file_size: int,
        user_id: UserId | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Say that a format of a video is ready; ``file_size`` in bytes."""
        return await self._do(
            self._compose.transcode_complete(video_id, title, format_type, file_size, user_id, idempotency_key)
        )

    async def notify_transcode_failed(
        self,
        video_id: int,
        title: str,
        error: str,
        user_id: UserId | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Say that a transcode failed, and why."""
        return await self._do(self._compose.transcode_failed(video_id, title, error, user_id, idempotency_key))

    # --- any other message

    async def notify_system_message(
        self,
        message: str,
        level: Level = "info",
        target: Audience = "admin",
        *,
        expires_at: Expiry = None,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Show a notice to the admin pool, to ``"all"`` or to ``{"users": [7, 8]}``.

        After ``expires_at``, RFC 3339 text or seconds since the Unix epoch, nobody is shown it any more.
        """
        return await self._do(self._compose.system_message(message, level, target, expires_at, idempotency_key))

    async def send_personal_message(
        self, message: Fields, user_id: UserId, *, expires_at: Expiry = None, idempotency_key: str | None = None
    ) -> Receipt:
        """Send a JSON object with a ``type`` to all connections of a user."""
        return await self._do(self._compose.message({"users": [user_id]}, message, expires_at, idempotency_key))

    async def send_admin_message(
        self, message: Fields, *, expires_at: Expiry = None, idempotency_key: str | None = None
    ) -> Receipt:
        """Send a JSON object with a ``type`` to the admin pool."""
        return await self._do(self._compose.message("admin", message, expires_at, idempotency_key))

    async def broadcast(
        self, message: Fields, *, expires_at: Expiry = None, idempotency_key: str | None = None
    ) -> Receipt:
        """Send a JSON object with a ``type`` to every connection of the cluster."""
        return await self._do(self._compose.message("all", message, expires_at, idempotency_key))

    # --- many at once

    async def notify_batch(self, items: Iterable[Fields]) -> list[ItemResult]:
        """Send up to 1,000 typed messages in one call, and return what became of each, in order.

        Args:
            items: the fields of one message each, such as ``{"type": "transcode_progress", "video_id": 123, …}``, with
                ``user_id`` or ``target``, ``expires_at`` and ``idempotency_key`` if wanted. A bad one harms no other,
                unless it cannot be written as JSON: then nothing is sent.
        """
        return await self._do(self._compose.notifications(items))

    async def send_batch(self, items: Iterable[Fields]) -> list[ItemResult]:
        """Send up to 1,000 messages to any audiences in one call, and return what became of each, in order.

        Args:
            items: ``{"audience": "admin" | "all" | {"users": […]}, "message": {"type": …}}`` each, with ``expires_at``
                and ``idempotency_key`` if wanted. A bad one harms no other, unless it cannot be written as JSON: then
                nothing is sent.
        """
        return await self._do(self._compose.messages(items))

    # --- and besides

    async def resend(self, request: Request[T]) -> T:
        """Send again what an ``Undelivered`` carries: the same bytes under the same key, so nothing is doubled."""
        return await self._do(request)

    async def get_connection_count(self) -> ConnectionCount:
        """Return the cluster's four counters."""
        return await self._do(ReadStats())

    async def aclose(self) -> None:
        """Close this loop's connections. A later call opens new ones."""
        await self._clients.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

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
        client = await self._clients.get()
        try:
            return await client.request(
                send.method, send.url, headers=send.headers, content=send.content, timeout=send.timeout
            )
        except httpx.TransportError as exc:
            return exc
