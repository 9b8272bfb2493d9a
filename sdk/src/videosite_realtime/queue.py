"""For producers that cannot call a router: the same calls, by way of a stream in the cluster's Redis.

Needs the extra ``[redis]``. A call returns once Redis has the message; a router publishes it as soon as there is one,
in the order of the calls. What a router cannot publish it sets aside with its reason: the producer is not told, so a
service that can call routers should (``NotificationService``). Whoever may write to that Redis may publish.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from types import TracebackType
from typing import Self, overload

from redis.exceptions import RedisError

from videosite_realtime._calls import Calls
from videosite_realtime._core import compose
from videosite_realtime._per_loop import ClientPerLoop
from videosite_realtime._queue_access import Given, QueueAccess
from videosite_realtime._queue_client import QueueClient, new_client
from videosite_realtime._queue_delivery import Append, Appending, Outcome, Queued, append
from videosite_realtime._tracing import calling
from videosite_realtime.requests import Publish, PublishBatch
from videosite_realtime.retry import DEFAULT_RETRY, RetryPolicy

__all__ = ["NotificationQueue", "Queued"]


class NotificationQueue(Calls[Queued, Queued]):
    """Tells browsers what happens, by way of the queue: the calls of ``NotificationService``.

    Every call retries while Redis is away or the queue is full, under one idempotency key: the message is neither lost
    nor doubled. Loops, threads and forks are as with the service. A batch is appended as a whole or not at all.

    Args:
        url: of the cluster's Redis, such as ``redis://redis:6379/0``; by default ``QUEUE_URL``, read at the first call.
            With one of the next two, host and port are theirs to tell, and it says no more than TLS, user and password.
        sentinels: ``host:port`` of Sentinels, which know the master; by default ``QUEUE_SENTINELS``.
        sentinel_master: the name under which they watch it; by default ``QUEUE_SENTINEL_MASTER``, or ``mymaster``.
        sentinel_password: their own; by default ``QUEUE_SENTINEL_PASSWORD``.
        cluster_nodes: ``host:port`` of some servers of a Redis Cluster; by default ``QUEUE_CLUSTER_NODES``.
        prefix: the cluster's ``REDIS_PREFIX``; by default ``QUEUE_PREFIX``, or ``vsrt``.
        max_length: entries with which the queue is full; by default ``QUEUE_MAX_LENGTH``, or 100,000. Not above the
            routers' own: beyond it they give up the oldest.
        retry: deadline, timeouts and back-off.
        sleep: how to wait between attempts, s.

    All calls raise:
        ConfigurationError: a setting is missing, or Redis refuses the user; nothing was appended.
        Undelivered: the deadline came first; ``resend(error.request)`` tries again without doubling.
        InvalidMessage: it cannot be written as JSON, its key is none, or a batch's size or items are not right.
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
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(compose)
        self._given = Given(url, prefix, max_length, sentinels, sentinel_master, sentinel_password, cluster_nodes)
        self._retry, self._sleep = retry, sleep
        self._clients = ClientPerLoop(self._new_client)

    @overload
    async def resend(self, request: Publish) -> Queued: ...
    @overload
    async def resend(self, request: PublishBatch) -> list[Queued]: ...
    async def resend(self, request: Publish | PublishBatch) -> Queued | list[Queued]:
        """Append again what an ``Undelivered`` of a queue carries: routers publish it once."""
        return await (self._publish(request) if isinstance(request, Publish) else self._publish_all(request))

    async def aclose(self) -> None:
        """Close this loop's connections. A later call opens new ones."""
        await self._clients.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _publish(self, request: Publish) -> Queued:
        return (await self._do(request))[0]

    async def _publish_all(self, request: PublishBatch) -> list[Queued]:
        return await self._do(request)

    async def _do(self, request: Publish | PublishBatch) -> list[Queued]:
        with calling(request) as call:
            return await self._bring(append(request, self._access, self._retry, call))

    async def _bring(self, appending: Appending) -> list[Queued]:
        outcome: Outcome | None = None
        while True:
            try:
                step = appending.send(outcome)
            except StopIteration as done:
                result: list[Queued] = done.value
                return result
            if isinstance(step, Append):
                outcome = await self._eval(step)
            else:
                await self._sleep(step.seconds)
                outcome = None

    async def _eval(self, step: Append) -> Outcome:
        client = await self._clients.get()
        try:
            reply: Outcome = await client.execute_command("EVAL", *step.arguments)
        except (RedisError, OSError) as exc:
            return exc
        return reply

    @cached_property
    def _access(self) -> QueueAccess:
        return QueueAccess.find(self._given, os.environ)

    def _new_client(self) -> QueueClient:
        return new_client(self._access, self._retry)
