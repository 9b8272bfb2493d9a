"""The synchronous twin of ``NotificationQueue``: the same calls, which are described there."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Sequence
from functools import cached_property
from types import TracebackType
from typing import Self, overload

from redis.exceptions import RedisError

from videosite_realtime._core import compose
from videosite_realtime._per_process import PerProcess
from videosite_realtime._queue_access import Given, QueueAccess
from videosite_realtime._queue_delivery import Append, Appending, Outcome, Queued, append
from videosite_realtime._sync_calls import SyncCalls
from videosite_realtime._sync_queue_client import SyncQueueClient, new_client
from videosite_realtime._tracing import calling
from videosite_realtime.requests import Publish, PublishBatch
from videosite_realtime.retry import DEFAULT_RETRY, RetryPolicy

__all__ = ["Queued", "SyncNotificationQueue"]


class SyncNotificationQueue(SyncCalls[Queued, Queued]):
    """Tells browsers what happens, by way of the queue: ``NotificationQueue`` for code without an event loop.

    Its threads share one pool of connections; a forked child opens its own. They close with ``close``, when the queue
    is no longer used, or at the interpreter's exit.
    """

    def __init__(
        self,
        url: str | None = None,
        prefix: str | None = None,
        *,
        max_length: int | None = None,
        sentinels: Sequence[str] | None = None,
        sentinel_master: str | None = None,
        sentinel_password: str | None = None,
        cluster_nodes: Sequence[str] | None = None,
        retry: RetryPolicy = DEFAULT_RETRY,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(compose)
        self._given = Given(url, prefix, max_length, sentinels, sentinel_master, sentinel_password, cluster_nodes)
        self._retry, self._sleep = retry, sleep
        self._clients = PerProcess(self._new_client)
        weakref.finalize(self, _close, self._clients)

    @overload
    def resend(self, request: Publish) -> Queued: ...
    @overload
    def resend(self, request: PublishBatch) -> list[Queued]: ...
    def resend(self, request: Publish | PublishBatch) -> Queued | list[Queued]:
        return self._publish(request) if isinstance(request, Publish) else self._publish_all(request)

    def close(self) -> None:
        """Close this process's connections. A later call opens new ones."""
        _close(self._clients)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _publish(self, request: Publish) -> Queued:
        return self._do(request)[0]

    def _publish_all(self, request: PublishBatch) -> list[Queued]:
        return self._do(request)

    def _do(self, request: Publish | PublishBatch) -> list[Queued]:
        with calling(request) as call:
            return self._bring(append(request, self._access, self._retry, call))

    def _bring(self, appending: Appending) -> list[Queued]:
        outcome: Outcome | None = None
        while True:
            try:
                step = appending.send(outcome)
            except StopIteration as done:
                result: list[Queued] = done.value
                return result
            if isinstance(step, Append):
                outcome = self._eval(step)
            else:
                self._sleep(step.seconds)
                outcome = None

    def _eval(self, step: Append) -> Outcome:
        try:
            reply: Outcome = self._clients.get().execute_command("EVAL", *step.arguments)
        except (RedisError, OSError) as exc:
            return exc
        return reply

    @cached_property
    def _access(self) -> QueueAccess:
        return QueueAccess.find(self._given, os.environ)

    def _new_client(self) -> SyncQueueClient:
        return new_client(self._access, self._retry)


def _close(clients: PerProcess[SyncQueueClient]) -> None:
    if client := clients.take():
        client.close()
