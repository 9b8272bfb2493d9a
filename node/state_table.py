"""The newest value per video, as one node knows it. No I/O.

State is not history: of a transcode's progress only the newest value counts, it never goes backwards, and whoever was
away or slow gets the newest value and no queue. So there is one table per scope, and a session remembers no more than
the revision up to which it has seen the table.
"""

from __future__ import annotations

from typing import NamedTuple

from shared.ids import BEGINNING, Position


class _Value(NamedTuple):
    revision: Position
    frame: bytes | None  # None: a tombstone, so that a late value on the bus does not revive an ended video
    ends_at: float


class StateTable:
    """Newest frames by video, ordered by revision.

    Attributes:
        top: newest revision it has, from the bus or from Redis.
        confirmed: revision up to which it was read from Redis: what the bus brought since may have gaps.
    """

    __slots__ = ("_values", "confirmed", "top")

    def __init__(self) -> None:
        self._values: dict[int, _Value] = {}
        self.top = self.confirmed = BEGINNING

    def put(self, video_id: int, revision: Position, frame: bytes | None, ends_at: float) -> bool:
        """Take a value, or with ``frame=None`` an end; False if as new a one stands.

        Args:
            ends_at: when it is forgotten unless something newer comes, seconds since the Unix epoch.
        """
        known = self._values.get(video_id)
        if known is not None and revision <= known.revision:
            return False
        self._values[video_id] = _Value(revision, frame, ends_at)
        self.top = max(self.top, revision)
        return True

    def after(self, revision: Position, now: float) -> list[tuple[Position, bytes]]:
        """Return revisions and frames of active videos that changed after a revision, oldest change first.

        ``now`` is the time, seconds since the Unix epoch: what is over by then is not shown.
        """
        newer = (value for value in self._values.values() if value.revision > revision and value.ends_at > now)
        return sorted((value.revision, value.frame) for value in newer if value.frame is not None)

    def expire(self, now: float) -> None:
        """Forget what has had no news for too long."""
        self._values = {video: value for video, value in self._values.items() if value.ends_at > now}

    def __len__(self) -> int:
        return sum(1 for value in self._values.values() if value.frame is not None)
