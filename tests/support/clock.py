"""A clock that a test sets forward, in the place of a module's ``time``."""

from __future__ import annotations

import time
from types import ModuleType

import pytest


class Clock:
    time = staticmethod(time.time)

    def __init__(self) -> None:
        self._ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    def forward(self, seconds: float) -> None:
        self._ahead += seconds


def clock_of(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock by which this module goes until the test ends."""
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock
