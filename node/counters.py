"""What happened on this node, in plain numbers: code counts here, metrics read it, nothing is decided by it."""

from __future__ import annotations

from collections import Counter

from node.delivery_times import AUDIENCES, DeliveryTimes
from shared.metrics import LATENCY, Buckets
from shared.server_clock import ServerClock


class NodeCounters:
    """The counters of one node.

    Args:
        clock: Redis's, by which it is told how long messages took.

    Attributes:
        delivery_times: messages that the bus brought and that were written, by kind of audience.
        caught_up: messages written that history or the table of states brought, and not the bus.
        stale: states from the bus that were dropped, for a newer one stood.
        conflated: states not written to clients that were behind: they are shown the newest once they are not.
        repairs: reads of history by feeds, by what showed that something was missing.
        repair_times: seconds that they took.
        refused: handshakes, by close code and reason.
        resumed: clients that came back with ``since``, by whether everything missed could follow.
        streams: event streams that were welcomed.
        polls: answers to clients that poll, by what they brought.
        fell_behind: times a client read too slowly to stay live.
    """

    def __init__(self, clock: ServerClock) -> None:
        self.delivery_times = {audience: DeliveryTimes(clock) for audience in AUDIENCES}
        self.caught_up = self.repeated = self.stale = self.conflated = self.expired = self.resyncs = 0
        self.repairs: Counter[str] = Counter()
        self.repair_times = Buckets(LATENCY)
        self.opened: Counter[str] = Counter()
        self.closed: Counter[str] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()
        self.resumed: Counter[bool] = Counter()
        self.streams = 0
        self.polls: Counter[str] = Counter()
        self.fell_behind = 0
        self.unreadable = 0
        self.stalled = 0

    @property
    def delivered(self) -> int:
        """Messages written, once per socket, whichever way they came."""
        return self.caught_up + sum(times.written for times in self.delivery_times.values())
