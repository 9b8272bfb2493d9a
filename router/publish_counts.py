"""What a router published, in plain numbers: counted here, read by metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from router.order import Order
from shared.messages import TYPED
from shared.metrics import COMMAND, Bounds, Buckets

BATCH: Final[Bounds] = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)  # messages
CUSTOM: Final = "custom"  # whatever producers call their own messages: any number of names is one label


class PublishCounts:
    """Counts what the publishing calls did.

    Attributes:
        unavailable: calls answered 503, by why: ``away``, ``refused``.
        calls: seconds of the calls of the publish script, by error: empty, ``away``, ``refused``.
        batches: messages per batch.
        keys: calls and items whose idempotency key was known, by outcome: ``replayed``, ``conflict``.
        refused_items: items of batches that were not published, by status.
    """

    def __init__(self) -> None:
        self._to_users: Counter[str] = Counter()
        self._to_shared: Counter[tuple[str, str]] = Counter()
        self.unavailable: Counter[str] = Counter()
        self.calls = {error: Buckets(COMMAND) for error in ("", "away", "refused")}
        self.batches = Buckets(BATCH)
        self.keys: Counter[str] = Counter()
        self.refused_items: Counter[str] = Counter()

    def add(self, orders: Iterable[Order]) -> None:
        """Count accepted messages. Those of a batch are mostly alike, so they are grouped first."""
        alike = Counter([(order.message.type, order.targets[0].shared, len(order.targets)) for order in orders])
        for (kind, shared, targets), count in alike.items():
            known = kind if kind in TYPED else CUSTOM
            if shared:
                self._to_shared[known, shared] += count  # there is at most one, and it comes first
            self._to_users[known] += count * (targets - bool(shared))

    def sent(self) -> dict[tuple[str, str], int]:
        """Return the messages answered 202, by type and audience; one to admins and its owner counts once for each."""
        return {**self._to_shared, **{(kind, "user"): count for kind, count in self._to_users.items() if count}}

    def add_results(self, results: Sequence[dict[str, Any]], accepted: int) -> None:
        """Count a batch by its items' answers, ``accepted`` of which are 202."""
        self.batches.add(len(results))
        if accepted < len(results):
            self.refused_items.update(str(result["status"]) for result in results if result["status"] != 202)
