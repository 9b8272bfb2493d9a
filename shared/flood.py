"""Rate limit for one kind of log line: a thousand strangers a second must not become a thousand lines a second.

quiet ──line──▶ window of 10 s: the first 20 lines pass, the rest are counted
  ▲                    │ over
  │                    ├─ some were counted ──▶ one line tells how many; next window: none pass
  └────────────────────┴─ none were
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final

FLOOD_KEY: Final = "flood_key"  # a record's attribute: by what it is counted, if not by its event and reason
BURST: Final = 20  # lines
WINDOW: Final = 10.0  # s
_KINDS_MAX: Final = 500  # watched at a time; more than these are one kind


@dataclass(slots=True)
class Window:
    """The current window of one kind of line.

    Attributes:
        left: lines that may still pass in it.
        last: the newest line that did not pass.
    """

    ends_at: float
    left: int
    suppressed: int = 0
    last: Any = None


class FloodGuard:
    """Decides which lines pass. It does no I/O; callers pass in the time."""

    def __init__(self, burst: int = BURST, seconds: float = WINDOW) -> None:
        self._burst, self._seconds = burst, seconds
        self._windows: dict[Hashable, Window] = {}

    def admit(self, kind: Hashable, line: Any, now: float) -> Window | None:
        """Take a line; return None if it may pass, else the window that has counted it.

        Whoever gets a window is to call ``over`` at its end, once.
        """
        window = self._windows.get(kind) or self._open(kind, now)
        if now >= window.ends_at and not window.suppressed:
            window.ends_at, window.left = now + self._seconds, self._burst
        if window.left > 0:
            window.left -= 1
            return None
        window.suppressed += 1
        window.last = line
        return window

    def over(self, window: Window, now: float) -> tuple[Any, int]:
        """End a window: return the last line that it counted, and how many before that were left out."""
        told = window.last, window.suppressed - 1
        window.ends_at, window.left, window.suppressed, window.last = now + self._seconds, 0, 0, None
        return told

    def untold(self) -> list[Window]:
        """Return the windows that have counted lines since they last told of them."""
        return [window for window in self._windows.values() if window.suppressed]

    def _open(self, kind: Hashable, now: float) -> Window:
        if len(self._windows) >= _KINDS_MAX:
            self._windows = {k: w for k, w in self._windows.items() if w.suppressed or w.ends_at > now}
        if len(self._windows) >= _KINDS_MAX:
            kind = None
        return self._windows.setdefault(kind, Window(now + self._seconds, self._burst))
