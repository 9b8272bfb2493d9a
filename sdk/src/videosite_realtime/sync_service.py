"""The synchronous twin of the asynchronous service: the same calls, which are described there."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self, TypeVar

import httpx

from videosite_realtime._core import Core
from videosite_realtime._delivery import Delivery, Outcome, Send
from videosite_realtime._per_process import PerProcess
from videosite_realtime._tracing import calling
from videosite_realtime.receipts import ConnectionCount, ItemResult, Receipt
from videosite_realtime.requests import Audience, Expiry, Fields, Level, ReadStats, Request, UserId
from videosite_realtime.retry import DEFAULT_RETRY, RetryPolicy

T = TypeVar("T")


class SyncNotificationService:
    """Tells browsers what happens, through a router: ``NotificationService`` for code without an event loop.

    Its threads share one pool of connections; a forked child opens its own. They close with ``close``, when the
    service is no longer used, or at the interpreter's exit.

    Args:
        router_url: such as ``http://router:8001``; by default ``ROUTER_URL``, read at the first call.
        api_key: a service key, or a JWT with the scope ``publish``; by default ``ROUTER_API_KEY``.
        retry: deadline, timeouts and back-off.
        sleep: how to wait between attempts, s.
    """

    def __init__(
        self,
        router_url: str | None = None,
        api_key: str | None = None,
        *,
        retry: RetryPolicy = DEFAULT_RETRY,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._core = Core(router_url, api_key, retry)
        self._compose = self._core.compose
        self._clients = PerProcess(self._core.new_client)
        self._sleep = sleep
        weakref.finalize(self, _close, self._clients)

    # --- transcodes: to the admin pool, and to the video's owner if one is named

    def notify_transcode_progress(
        self,
        video_id: int,
        status: str,
        progress: float,
        message: str = "",
        user_id: UserId | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Receipt:
        return self._do(self._compose.transcode_progress(video_id, status, progress, message, user_id, idempotency_key))

    def notify_transcode_complete(
        self,
        video_id: int,
        title: str,
        format_type: str,
        file_size: int,
        user_id: UserId | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Receipt:
        return self._do(
            self._compose.transcode_complete(video_id, title, format_type, file_size, user_id, idempotency_key)
        )

    def notify_transcode_failed(
        self,
        video_id: int,
        title: str,
        error: str,
        user_id: UserId | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Receipt:
        return self._do(self._compose.transcode_failed(video_id, title, error, user_id, idempotency_key))

    # --- any other message

    def notify_system_message(
        self,
        message: str,
        level: Level = "info",
        target: Audience = "admin",
        *,
        expires_at: Expiry = None,
        idempotency_key: str | None = None,
    ) -> Receipt:
        return self._do(self._compose.system_message(message, level, target, expires_at, idempotency_key))

    def send_personal_message(
        self, message: Fields, user_id: UserId, *, expires_at: Expiry = None, idempotency_key: str | None = None
    ) -> Receipt:
        return self._do(self._compose.message({"users": [user_id]}, message, expires_at, idempotency_key))

    def send_admin_message(
        self, message: Fields, *, expires_at: Expiry = None, idempotency_key: str | None = None
    ) -> Receipt:
        return self._do(self._compose.message("admin", message, expires_at, idempotency_key))

    def broadcast(self, message: Fields, *, expires_at: Expiry = None, idempotency_key: str | None = None) -> Receipt:
        return self._do(self._compose.message("all", message, expires_at, idempotency_key))

    # --- many at once

    def notify_batch(self, items: Iterable[Fields]) -> list[ItemResult]:
        return self._do(self._compose.notifications(items))

    def send_batch(self, items: Iterable[Fields]) -> list[ItemResult]:
        return self._do(self._compose.messages(items))

    # --- and besides

    def resend(self, request: Request[T]) -> T:
        return self._do(request)

    def get_connection_count(self) -> ConnectionCount:
        return self._do(ReadStats())

    def close(self) -> None:
        """Close this process's connections. A later call opens new ones."""
        _close(self._clients)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _do(self, request: Request[T]) -> T:
        with calling(request) as call:
            result = self._bring(self._core.deliver(request, call))
            call.answered(result)
            return result

    def _bring(self, delivery: Delivery[T]) -> T:
        outcome: Outcome | None = None
        while True:
            try:
                step = delivery.send(outcome)
            except StopIteration as done:
                result: T = done.value
                return result
            if isinstance(step, Send):
                outcome = self._exchange(step)
            else:
                self._sleep(step.seconds)
                outcome = None

    def _exchange(self, send: Send) -> Outcome:
        try:
            return self._clients.get().request(
                send.method, send.url, headers=send.headers, content=send.content, timeout=send.timeout
            )
        except httpx.TransportError as exc:
            return exc


def _close(clients: PerProcess[httpx.Client]) -> None:
    if client := clients.take():
        client.close()
