"""What a router did with the queue, and how long the queue is, in plain numbers."""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal

Reason = Literal["invalid", "too large", "key reused", "refused by redis", "router error", "never finished"]
REASONS: Final[tuple[Reason, ...]] = (
    "invalid",
    "too large",
    "key reused",
    "refused by redis",
    "router error",
    "never finished",
)


class QueueCounts:
    """Counts of what was done here, and the queue's state when this router last read it.

    Attributes:
        read: entries taken, those among them that had been taken before.
        accepted: entries published, those among them that had been published before.
        set_aside: entries that cannot be published, by reason.
        given_up: entries lost because the queue was longer than it may be.
        failures: batches to be tried again, by why: Redis ``away``, ``refused``.
        mine: whether it is this router's turn.
        waiting: entries in the queue.
        taken: those among them that a router has taken and not settled.
        oldest_ms: when the oldest was appended, ms since the Unix epoch; 0: there is none.
    """

    def __init__(self) -> None:
        self.read = 0
        self.accepted = 0
        self.set_aside: Counter[Reason] = Counter()
        self.given_up = 0
        self.failures: Counter[str] = Counter()
        self.mine = False
        self.waiting = 0
        self.taken = 0
        self.oldest_ms = 0

    def lag(self, now_ms: int) -> float:
        """Return how old the oldest entry is, in seconds; it grows on while Redis does not answer."""
        return max(now_ms - self.oldest_ms, 0) / 1000 if self.oldest_ms else 0.0
