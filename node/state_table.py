"""The newest value per video, as one node knows it. No I/O.

States are not history: of a transcode's progress only the newest value counts, it never goes back, and a client that
was away or slow gets the newest value instead of a queue. So there is one table per audience, and a session only
remembers how many of the table's changes it has seen. (The newest revision that it has seen would not do: a value that
the bus lost may be read after newer ones, and the session would never be shown it.)
"""

from __future__ import annotations

from typing import NamedTuple

from shared.ids import BEGINNING, Position


class _Value(NamedTuple):
    revision: Position
    change: int
    frame: bytes | None  # None: a tombstone, so that a late value on the bus does not revive an ended video
    ends_at: float


class StateTable:
    """Newest frames by video: the newer revision wins.

    Attributes:
        changes: how many values it has taken.
        confirmed: revision up to which it was read from Redis: what the bus brought since may have gaps.
    """

    __slots__ = ("_values", "changes", "confirmed")

    def __init__(self) -> None:
        self._values: dict[int, _Value] = {}
        self.changes = 0
        self.confirmed = BEGINNING

    def put(self, video_id: int, revision: Position, frame: bytes | None, ends_at: float) -> bool:
        """Take a value, or an end if ``frame`` is None; False if it is not newer than the known one.

        Args:
            ends_at: when it is forgotten unless something newer comes, seconds since the Unix epoch.
        """
        known = self._values.get(video_id)
        if known is not None and revision <= known.revision:
            return False
        self.changes += 1
        self._values[video_id] = _Value(revision, self.changes, frame, ends_at)
        return True

    def after(self, change: int, now: float) -> list[tuple[int, bytes]]:
        """Return the changes after a given one, with their frames: those of active videos, oldest first.

        ``now`` is the time, seconds since the Unix epoch: what is over by then is not shown.
        """
        newer = (value for value in self._values.values() if value.change > change and value.ends_at > now)
        return sorted((value.change, value.frame) for value in newer if value.frame is not None)

    def expire(self, now: float) -> None:
        """Forget videos that have had no news for too long."""
        self._values = {video: value for video, value in self._values.items() if value.ends_at > now}

    def __len__(self) -> int:
        return sum(1 for value in self._values.values() if value.frame is not None)
