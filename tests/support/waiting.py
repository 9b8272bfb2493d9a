"""Waiting for something to become true: with a deadline, never for a fixed time.

Deadlines count the time in which the machine ran. A host that stops all its processes for seconds has kept nobody
waiting, and each of them has to be given its turn before it can be blamed.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_PAUSE = 0.02  # s between two looks
_MOMENT = 0.25  # s


class Patience:
    """A bound for a wait; of the time between two questions whether it is over, a moment counts at most.

    Args:
        seconds: of waiting after which it is.
    """

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._asked_at = time.monotonic()

    def is_over(self) -> bool:
        now = time.monotonic()
        self._left -= min(now - self._asked_at, _MOMENT)
        self._asked_at = now
        return self._left < 0

    async def wait(self, event: asyncio.Event) -> None:
        """Wait for an event; a ``TimeoutError`` once it is over."""
        while not event.is_set():
            if self.is_over():
                raise TimeoutError
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_MOMENT):
                    await event.wait()


async def until(look: Callable[[], T | Awaitable[T]], *, timeout: float = 20) -> T:
    """Return the first true value of ``look``; an ``AssertionError`` that tells the last one when time is over.

    A look that raises ``AssertionError`` counts as not true yet. The last look begins when time is over.
    """
    patience = Patience(timeout)
    while True:
        is_last = patience.is_over()
        try:
            seen = look()
            value: T = await seen if inspect.isawaitable(seen) else seen
        except AssertionError as exc:
            if is_last:
                raise AssertionError(f"not within {timeout} s: {exc}") from exc
        else:
            if value:
                return value
            if is_last:
                raise AssertionError(f"not within {timeout} s; last seen: {value!r}")
        await asyncio.sleep(_PAUSE)


async def until_equal(look: Callable[[], T | Awaitable[T]], wanted: T, *, timeout: float = 20) -> None:
    """Return once ``look`` gives ``wanted``."""

    async def equal() -> bool:
        seen = look()
        value = await seen if inspect.isawaitable(seen) else seen
        assert value == wanted, f"{value!r} is not {wanted!r}"
        return True

    await until(equal, timeout=timeout)


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Return what ``work`` gives without waiting for anything; an ``AssertionError`` if it waits."""
    try:
        work.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    work.close()
    raise AssertionError("it waits")
