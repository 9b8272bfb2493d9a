"""Background tasks with an owner who notices when they die."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Coroutine
from typing import Any, TypeVar

from shared.errors import RedisError

logger = logging.getLogger(__name__)

T = TypeVar("T")


async def all_of(*work: Awaitable[T]) -> list[T]:
    """Await everything, even if something fails, and then raise the first failure: nothing continues unobserved."""
    if len(work) == 1:
        return [await work[0]]
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results  # type: ignore[return-value]  # no exceptions are left


async def outcomes(*work: Awaitable[T]) -> list[T | RedisError]:
    """Await everything and return each result or ``RedisError``; any other failure is raised."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, RedisError):
            raise result
    return results  # type: ignore[return-value]  # no other exceptions are left


def observe(future: asyncio.Future[Any]) -> None:
    """Retrieve the exception of a future that nobody awaits; a done callback."""
    if not future.cancelled():
        future.exception()


@contextlib.asynccontextmanager
async def running(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[asyncio.Task[None]]:
    """Run a task for as long as the context lasts; if it ends by itself, the process stops."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(stop_the_process)
    try:
        yield task
    finally:
        task.remove_done_callback(stop_the_process)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def stop_the_process(task: asyncio.Task[None]) -> None:
    """Ask this process to stop in order (SIGTERM to itself), for a task of it has ended.

    A service whose part has died is no longer what its readiness claims; whoever runs it starts a fresh one.
    """
    error = None if task.cancelled() else task.exception()
    logger.critical("a part died; stopping", extra={"task": task.get_name()}, exc_info=error)
    os.kill(os.getpid(), signal.SIGTERM)
