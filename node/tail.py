"""The newest frames of a shared stream, in memory, for clients that fall behind or return.

Without it, a thousand sessions that fall behind in one burst would read the same events from Redis a thousand times.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from shared.ids import Position

_EVENTS_MAX: Final = 8192
_BYTES_MAX: Final = 8 * 1024 * 1024


class Tail:
    """Frames by position, oldest first; bounded by number and bytes."""

    __slots__ = ("_bytes", "_ends", "_frames", "_positions")

    def __init__(self) -> None:
        self._positions: list[Position] = []
        self._frames: list[bytes] = []
        self._ends: list[float] = []  # ms since the Unix epoch
        self._bytes = 0

    def append(self, position: Position, frame: bytes, expires_at: int | None) -> None:
        """Keep a frame; ``position`` is higher than those before."""
        self._positions.append(position)
        self._frames.append(frame)
        self._ends.append(float("inf") if expires_at is None else expires_at)
        self._bytes += len(frame)
        if len(self._frames) > _EVENTS_MAX or self._bytes > _BYTES_MAX:
            self._drop_older_half()

    def _drop_older_half(self) -> None:
        half = (len(self._frames) + 1) // 2
        self._bytes -= sum(map(len, self._frames[:half]))
        del self._positions[:half], self._frames[:half], self._ends[:half]

    def clear(self) -> None:
        self._positions.clear()
        self._frames.clear()
        self._ends.clear()
        self._bytes = 0

    @property
    def newest(self) -> Position | None:
        return self._positions[-1] if self._positions else None

    def __contains__(self, position: Position) -> bool:
        return self._index(position) is not None

    def after(self, position: Position, count: int, now: float) -> tuple[list[tuple[Position, bytes]], Position] | None:
        """Return up to ``count`` frames after a position, and the position they lead to; None if it is not kept.

        ``now`` is the time, ms since the Unix epoch: what is over by then is left out.
        """
        at = self._index(position)
        if at is None:
            return None
        chosen = range(at + 1, min(at + 1 + count, len(self._frames)))
        alive = [(self._positions[i], self._frames[i]) for i in chosen if self._ends[i] > now]
        return alive, self._positions[chosen[-1]] if chosen else position

    def _index(self, position: Position) -> int | None:
        at = bisect_left(self._positions, position)
        return at if at < len(self._positions) and self._positions[at] == position else None
