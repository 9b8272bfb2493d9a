"""One clock for all workers: the master's, as far as it can be known.

Workers on one host have one clock anyhow. For the others the master is asked a few times what time it has; of the
answer with the shortest way, half the way is the error. An offset within that error is taken for none, so that on one
host nothing is made worse.
"""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Probe:
    """Asked at, answered with, received at: µs since the Unix epoch, the outer two by our clock."""

    asked: int
    answer: int
    received: int

    @property
    def error(self) -> int:
        return (self.received - self.asked) // 2

    @property
    def offset(self) -> int:
        return self.answer - (self.asked + self.received) // 2


class Clock:
    """Attributes:
    offset: µs that the master's clock is ahead of this host's.
    error: µs by which that may be wrong; None before it was asked.
    """

    def __init__(self) -> None:
        self.offset = 0
        self.error: int | None = None

    @staticmethod
    def here() -> int:
        return time.time_ns() // 1000

    def now(self) -> int:
        """Return the time of the whole test, µs since the Unix epoch."""
        return self.here() + self.offset

    def set_by(self, probes: list[Probe]) -> None:
        best = min(probes, key=lambda probe: probe.error)
        self.error = best.error
        self.offset = best.offset if abs(best.offset) > best.error else 0
