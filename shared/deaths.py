"""Counts of nodes that were declared dead, and of the connections they held, as every process exposes them.

The process that buries a dead node may be gone itself before Prometheus scrapes it. So the deaths are counted in the
registry (``bury.lua``), the caretaker publishes the counts along with its sums, and every process adds up by how much
they rise. Its own count starts at 0 with the process and never goes back, whatever a server forgets.
"""

from __future__ import annotations

from typing import NamedTuple


class Deaths(NamedTuple):
    """Counts of dead nodes and of the connections that they last reported, by their last state.

    The names are those of the fields of ``buried:{c}``.
    """

    up: int = 0
    draining: int = 0
    up_connections: int = 0
    draining_connections: int = 0

    @property
    def nodes(self) -> dict[str, int]:
        return {"up": self.up, "draining": self.draining}

    @property
    def connections(self) -> dict[str, int]:
        return {"up": self.up_connections, "draining": self.draining_connections}


class DeathsSeen:
    """The deaths since this process first read the counts."""

    def __init__(self) -> None:
        self.total = Deaths()
        self._last: Deaths | None = None

    def take(self, told: Deaths | None) -> None:
        """Take the caretaker's counts; None if it is of a version without them."""
        if told is None:
            return
        if self._last is not None:
            risen = (max(now - before, 0) for now, before in zip(told, self._last, strict=True))
            self.total = Deaths(*map(sum, zip(self.total, risen, strict=True)))
        self._last = told
