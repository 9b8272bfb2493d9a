"""One value per process."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Holds one value per process: a forked child makes its own and leaves its parent's alone.

    It does without a lock: one that another thread held at the fork would stay locked in the child for ever. Of two
    threads that come first together one value is dropped, so ``make`` opens nothing.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: dict[int, T] = {}

    def get(self) -> T:
        """Return this process's value, made at the first call."""
        try:
            return self._values[os.getpid()]
        except KeyError:
            return self._values.setdefault(os.getpid(), self._make())

    def take(self) -> T | None:
        """Remove and return this process's value, if there is one."""
        return self._values.pop(os.getpid(), None)
