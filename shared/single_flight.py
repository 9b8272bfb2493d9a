"""Runs one request at a time per key: whoever asks the same meanwhile gets the same answer."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class SingleFlight(Generic[K, T]):
    """Owns the tasks that find answers, one per question.

    Args:
        ask: finds an answer; what it raises goes to those who wait for it, and to the log.
    """

    def __init__(self, ask: Callable[[K], Awaitable[T]], name: str) -> None:
        self._ask, self._name = ask, name
        self._under_way: dict[K, asyncio.Task[T]] = {}

    def start(self, question: K) -> asyncio.Task[T]:
        """Return the task that answers a question; start it if there is none."""
        task = self._under_way.get(question)
        if task is None:
            task = self._under_way[question] = asyncio.create_task(self._answer(question), name=self._name)
            task.add_done_callback(functools.partial(self._done, question))
        return task

    async def answer(self, question: K) -> T:
        """Wait for the answer. A caller that is cancelled does not cancel it for others."""
        return await asyncio.shield(self.start(question))

    async def aclose(self) -> None:
        """Give up what is under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, question: K) -> T:
        return await self._ask(question)

    def _done(self, question: K, task: asyncio.Task[T]) -> None:
        del self._under_way[question]
        if not task.cancelled() and task.exception() is not None:
            logger.error("a question failed", extra={"task": self._name}, exc_info=task.exception())
