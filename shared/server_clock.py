"""Redis's clock as this process estimates it: the one clock that all routers and nodes of a cluster can agree on.

The time is asked for every few seconds. An answer is right within half of the time that the question took, and a busy
event loop reads answers late; so of the last answers the fastest one counts. Answers that contradict each other mean
that a clock was set, or that this is another server: then only the newest counts.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Final, NamedTuple

_KEPT: Final = 8  # answers; at one every 2 s, clocks drift by less than 1 ms meanwhile


class _Answer(NamedTuple):
    within: float  # µs by which it may be wrong, either way
    offset: float


class ServerClock:
    """Tells the server's time from this process's monotonic clock.

    Attributes:
        offset_us: what to add to ``time.monotonic()`` in µs to have the server's time since the Unix epoch.
    """

    def __init__(self) -> None:
        self.offset_us = (time.time() - time.monotonic()) * 1e6  # until the server has been asked
        self._answers: deque[_Answer] = deque(maxlen=_KEPT)

    def now_us(self) -> int:
        return int(time.monotonic() * 1e6 + self.offset_us)

    @property
    def ahead_of_ours(self) -> float:
        """Seconds by which the server's clock is ahead of this host's (negative: behind)."""
        return (time.monotonic() - time.time()) + self.offset_us / 1e6

    def take(self, server_us: int, asked_at: float, answered_at: float) -> None:
        """Take an answer.

        Args:
            asked_at, answered_at: by ``time.monotonic()``, s.
        """
        new = _Answer((answered_at - asked_at) / 2 * 1e6, server_us - (asked_at + answered_at) / 2 * 1e6)
        if any(abs(new.offset - known.offset) > new.within + known.within for known in self._answers):
            self._answers.clear()
        self._answers.append(new)
        self.offset_us = min(self._answers).offset
