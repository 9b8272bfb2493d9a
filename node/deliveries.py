"""What the bus brought and this node wrote to sockets, and how long it had been on its way.

Recorded once per message, after the last of its sockets: nothing is added per socket. Both ends are read on Redis's
clock (the router stamps with it, :class:`~shared.server_clock.ServerClock` tells it here), so that the clocks of two
hosts need not agree. What is still negative, for the clock is known to a fraction of a round trip only, counts as 0 s
and is counted.

Events read from history, after a gap or for a client that was behind, are not in here: they have waited for something
else than their way. ``history_repair_duration`` has how long that took.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from time import monotonic
from typing import Final

from shared.messages import TYPED
from shared.metrics import LATENCY, Buckets
from shared.server_clock import ServerClock

CUSTOM: Final = "custom"  # whatever producers call their own messages: any number of names is one label
AUDIENCES: Final = ("user", "admin", "all")

_BOUNDS_US: Final = tuple(bound * 1e6 for bound in LATENCY)
# A typed message begins with its type, always written in the same way; 20 bytes tell the four apart from all others.
_START: Final = slice(8, 28)
_FIRST: Final = slice(9, 10)
_FIRST_LETTERS: Final = frozenset(kind[:1].encode() for kind in TYPED)


class Series:
    """Messages of one type to one kind of audience.

    Attributes:
        counts: of messages, by how long they took (µs, bounds as in ``Buckets``).
        written: to how many sockets.
    """

    __slots__ = ("counts", "sum_us", "written")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS_US) + 1)
        self.sum_us = 0.0
        self.written = 0

    def buckets(self) -> Buckets:
        buckets = Buckets(LATENCY)
        buckets.counts, buckets.sum = list(self.counts), self.sum_us / 1e6
        return buckets


class _Audience:
    __slots__ = ("custom", "typed")

    def __init__(self, starts: Iterable[bytes]) -> None:
        self.custom = Series()
        self.typed = {start: Series() for start in starts}


class Deliveries:
    """Counts messages and their times by type and audience.

    Attributes:
        early: messages that were here before they were published, by the clocks.
    """

    def __init__(self, clock: ServerClock) -> None:
        self._clock = clock
        self._types = {_start_of(kind): kind for kind in TYPED}
        self._audiences = {audience: _Audience(self._types) for audience in AUDIENCES}
        self.early = 0

    def add(self, audience: str, payload: bytes, published_at: bytes, written: int) -> None:
        """Count a message that was just written to ``written`` sockets."""
        of = self._audiences[audience]
        series = of.custom
        if payload[_FIRST] in _FIRST_LETTERS:
            series = of.typed.get(payload[_START], series)
        took = monotonic() * 1e6 + self._clock.offset_us - int(published_at)
        if took < 0.0:
            self.early += 1
            took = 0.0
        series.counts[bisect_left(_BOUNDS_US, took)] += 1
        series.sum_us += took
        series.written += written

    def series(self) -> dict[tuple[str, str], Series]:
        """Return what was counted so far, by type and audience."""
        found: dict[tuple[str, str], Series] = {}
        for audience, of in self._audiences.items():
            by_type = {CUSTOM: of.custom, **{self._types[start]: series for start, series in of.typed.items()}}
            found |= {(kind, audience): series for kind, series in by_type.items() if series.written}
        return found


def _start_of(kind: str) -> bytes:
    """Return the bytes at ``_START`` of a typed message."""
    model = TYPED[kind]
    second = list(model.model_fields)[1]
    return f'{{"type":"{kind}","{second}":'.encode()[_START]
