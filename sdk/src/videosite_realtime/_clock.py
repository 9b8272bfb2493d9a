"""The producer's clock: its times order the states of a video."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from videosite_realtime._per_process import PerProcess


def _now_us() -> int:
    return time.time_ns() // 1000


class RisingClock:
    """Tells the time in µs since the Unix epoch, never the same twice and never earlier than before.

    Of two states with one timestamp the router cannot know the newer, and a clock set back by NTP would
    make every state "older" until it has caught up.
    """

    def __init__(self, now_us: Callable[[], int] = _now_us) -> None:
        self._now_us = now_us
        self._last = 0
        self._lock = PerProcess(threading.Lock)

    def __call__(self) -> int:
        with self._lock.get():
            self._last = max(self._now_us(), self._last + 1)
            return self._last
