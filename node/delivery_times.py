"""Counts and durations of messages that arrived on the bus and were written to sockets here.

Recorded once per message, after the last of its sockets: nothing is added per socket. Both times are Redis's (the
router stamps with its clock, and :class:`~shared.server_clock.ServerClock` estimates it here), so the clocks of the two
hosts need not agree. As the estimate is exact only to a fraction of a round trip, a duration can come out negative; it
is then recorded as 0 s, and counted.

Events read from history, after a gap or for a client that was behind, are not included: how long they waited says
nothing about delivery. ``vsrt.node.history_repair.duration`` covers these.
"""

from __future__ import annotations

from bisect import bisect_left
from time import monotonic
from typing import TYPE_CHECKING, Final

from shared.messages import TYPED
from shared.metrics import LATENCY, Buckets, Exemplar
from shared.server_clock import ServerClock

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

CUSTOM: Final = "custom"  # whatever producers call their own messages: any number of names is one label
AUDIENCES: Final = ("user", "admin", "all")

_BOUNDS_US: Final = tuple(bound * 1e6 for bound in LATENCY)
# A typed message begins with its type, always written in the same way: its first 20 bytes identify it.
_START: Final = slice(8, 28)
_FIRST_LETTERS: Final = frozenset(ord(kind[0]) for kind in TYPED)


class Series:
    """Messages of one type to one kind of audience.

    Attributes:
        counts: of messages, by how long they took (µs, bounds as in ``Buckets``).
        exemplars: as in ``Buckets``.
        written: to how many sockets.
    """

    __slots__ = ("counts", "exemplars", "sum_us", "written")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS_US) + 1)
        self.sum_us = 0.0
        self.written = 0
        self.exemplars: dict[int, Exemplar] = {}

    def buckets(self) -> Buckets:
        buckets = Buckets(LATENCY)
        buckets.counts, buckets.sum = list(self.counts), self.sum_us / 1e6
        buckets.exemplars = dict(self.exemplars)
        return buckets


class DeliveryTimes:
    """Counts the messages to one kind of audience, and their times, by type.

    Attributes:
        early: messages that were here before they were published, by the clocks.
    """

    __slots__ = ("_clock", "_custom", "_typed", "early")

    def __init__(self, clock: ServerClock) -> None:
        self._clock = clock
        self._custom = Series()
        self._typed = {_start_of(kind): Series() for kind in TYPED}
        self.early = 0

    def add(self, payload: bytes, published_at: bytes, written: int) -> None:
        """Count a message that was just written to ``written`` sockets."""
        series = self._custom
        if payload[9] in _FIRST_LETTERS:  # which most are not: cheaper than the look-up
            series = self._typed.get(payload[_START], series)
        took = monotonic() * 1e6 + self._clock.offset_us - int(published_at)
        if took < 0.0:
            self.early += 1
            took = 0.0
        series.counts[bisect_left(_BOUNDS_US, took)] += 1
        series.sum_us += took
        series.written += written

    def exemplify(self, payload: bytes, published_at: bytes, trace: SpanContext) -> None:
        """Keep the trace of a message that was just counted as its bucket's exemplar."""
        took = max(monotonic() * 1e6 + self._clock.offset_us - int(published_at), 0.0)
        series = self._typed.get(payload[_START], self._custom)
        series.exemplars[bisect_left(_BOUNDS_US, took)] = Exemplar.of(took / 1e6, trace)

    @property
    def written(self) -> int:
        return self._custom.written + sum(series.written for series in self._typed.values())

    def series(self) -> dict[str, Series]:
        """Return what was counted so far, by type."""
        by_type = {CUSTOM: self._custom, **dict(zip(TYPED, self._typed.values(), strict=True))}
        return {kind: series for kind, series in by_type.items() if series.written}


def _start_of(kind: str) -> bytes:
    """Return the bytes at ``_START`` of a typed message."""
    second = list(TYPED[kind].model_fields)[1]
    return f'{{"type":"{kind}","{second}":'.encode()[_START]
