"""How many commands a user may send."""

from __future__ import annotations


class CommandLimiter:
    """Counts commands per user within one second of the clock: nothing is kept for users who are quiet."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._second = 0
        self._counts: dict[str, int] = {}

    def allow(self, user_id: str, now: float) -> bool:
        """Count a command at ``now`` (seconds); False if it was one too many."""
        second = int(now)
        if second != self._second:
            self._second, self._counts = second, {}
        count = self._counts.get(user_id, 0) + 1
        self._counts[user_id] = count
        return count <= self._per_second
