"""Nodes that were declared dead, and what they held, as every process of the cluster can tell.

Whoever clears a dead node away may be gone itself before anybody asks it. So the registry counts (``bury.lua``), the
caretaker hands the counts on with its sums, and every process adds up by how much they rise: what it tells never goes
back, and of nothing that was before it, whatever a server forgets.
"""

from __future__ import annotations

from typing import NamedTuple


class Deaths(NamedTuple):
    """Dead nodes, and the connections that they held by their last word, by the state that they last told.

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
    """How many more there have been since this process first heard of any."""

    def __init__(self) -> None:
        self.total = Deaths()
        self._last: Deaths | None = None

    def take(self, told: Deaths | None) -> None:
        """Take what the caretaker told; None: it is of a version that tells nothing."""
        if told is None:
            return
        if self._last is not None:
            risen = (max(now - before, 0) for now, before in zip(told, self._last, strict=True))
            self.total = Deaths(*map(sum, zip(self.total, risen, strict=True)))
        self._last = told
