"""The synchronous twin of the asynchronous service: the same calls, which are described there."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

import httpx

from videosite_realtime._core import Core, compose
from videosite_realtime._delivery import Delivery, Outcome, Send
from videosite_realtime._per_process import PerProcess
from videosite_realtime._sync_calls import SyncCalls
from videosite_realtime._tracing import calling
from videosite_realtime.receipts import ConnectionCount, ItemResult, Receipt
from videosite_realtime.requests import Publish, PublishBatch, ReadStats, Request
from videosite_realtime.retry import DEFAULT_RETRY, RetryPolicy

T = TypeVar("T")


class SyncNotificationService(SyncCalls[Receipt, ItemResult]):
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
        super().__init__(compose)
        self._core = Core(router_url, api_key, retry)
        self._clients = PerProcess(self._core.new_client)
        self._sleep = sleep
        weakref.finalize(self, _close, self._clients)

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

    def _publish(self, request: Publish) -> Receipt:
        return self._do(request)

    def _publish_all(self, request: PublishBatch) -> list[ItemResult]:
        return self._do(request)

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
        except httpx.RequestError as exc:
            return exc


def _close(clients: PerProcess[httpx.Client]) -> None:
    if client := clients.take():
        client.close()
