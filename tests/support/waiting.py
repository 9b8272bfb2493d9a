"""Waiting for something to become true: with a deadline, never for a fixed time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_PAUSE = 0.02  # s between two looks


async def until(look: Callable[[], T | Awaitable[T]], *, timeout: float = 10) -> T:
    """Return the first true value of ``look``; an ``AssertionError`` that tells the last one when time is over.

    A look that raises ``AssertionError`` counts as not true yet.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            seen = look()
            value: T = await seen if inspect.isawaitable(seen) else seen
        except AssertionError as exc:
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout} s: {exc}") from exc
        else:
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout} s; last seen: {value!r}")
        await asyncio.sleep(_PAUSE)


async def until_equal(look: Callable[[], T | Awaitable[T]], wanted: T, *, timeout: float = 10) -> None:
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
