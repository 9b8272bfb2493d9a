"""What a router published, in plain numbers: counted when it happens, read when somebody asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from router.publisher import Order
from shared.keys import SHARED_TAG
from shared.messages import TYPED
from shared.metrics import COMMAND, Bounds, Buckets

BATCH: Final[Bounds] = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)  # messages
CUSTOM: Final = "custom"  # whatever producers call their own messages: any number of names is one label


class PublishCounts:
    """Counts what the publishing calls did.

    Attributes:
        sent: messages answered 202, by type and kind of audience; one to admins and its owner counts once for each.
        unavailable: calls answered 503, by why: ``away``, ``refused``.
        calls: seconds of the calls of the publish script, by error: empty, ``away``, ``refused``.
        batches: messages per batch.
        keys: calls and items whose idempotency key was known, by outcome: ``replayed``, ``conflict``.
        refused_items: items of batches that were not published, by status.
    """

    def __init__(self) -> None:
        self.sent: Counter[tuple[str, str]] = Counter()
        self.unavailable: Counter[str] = Counter()
        self.calls = {error: Buckets(COMMAND) for error in ("", "away", "refused")}
        self.batches = Buckets(BATCH)
        self.keys: Counter[str] = Counter()
        self.refused_items: Counter[str] = Counter()

    def add(self, order: Order) -> None:
        """Count a message that was accepted."""
        kind = order.message.type
        kind = kind if kind in TYPED else CUSTOM
        users = len(order.targets)
        for target in order.targets:
            if target.tag != SHARED_TAG:
                break  # the shared ones come first, and there are none among users
            self.sent[kind, target.stream] += 1
            users -= 1
        if users:
            self.sent[kind, "user"] += users

    def add_results(self, statuses: Iterable[int]) -> None:
        """Count a batch by the statuses of its items."""
        count = 0
        for status in statuses:
            count += 1
            if status != 202:
                self.refused_items[str(status)] += 1
        self.batches.add(count)
