"""What was sent against what was received: lost, doubled, out of order, late. Pure: lists in, a verdict out.

An event has a mark, given by its producer (who, which number), and an id per audience, given by the cluster
(``<stream>.<epoch>-<n>``). A client is judged stream by stream:

| it is | if |
| --- | --- |
| lost | an event answered 202 was not heard under its id, or a number between two that were heard |
| doubled | an id was heard twice, or a mark under two ids |
| out of order | a number was not above all before it, or a producer's serial was below one heard before |
| strange | it belongs to a stream that the client may not hear |

Serials count only of events answered 202: a producer that was told nothing goes on, and what it gave up may be late.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Mark(NamedTuple):
    """What a producer wrote on an event; serials of one producer rise, and it waits for each answer."""

    producer: str
    serial: int


class Sent(NamedTuple):
    """An event answered 202 at a time (s), with its id in every audience."""

    mark: Mark
    ids: tuple[str, ...]
    at: float


class Heard(NamedTuple):
    """An event as a client received it, at a time (s)."""

    id: str
    mark: Mark
    at: float


@dataclass(slots=True)
class Tally:
    """How a client fared in a stream; added up, a client as a whole, or an audience.

    Attributes:
        sent: events answered 202 that it should have.
        received: deliveries: distinct events that it has.
        longest_gap: s from an event's 202 to its receipt, at worst.
    """

    sent: int = 0
    received: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    longest_gap: float = 0.0

    def add(self, other: Tally) -> None:
        self.sent += other.sent
        self.received += other.received
        for name in ("lost", "doubled", "disordered", "strange"):
            getattr(self, name).extend(getattr(other, name))
        self.longest_gap = max(self.longest_gap, other.longest_gap)

    @property
    def flawless(self) -> bool:
        return not (self.lost or self.doubled or self.disordered or self.strange)


def stream_of(event_id: str) -> str:
    return event_id.rpartition(".")[0]


def number_of(event_id: str) -> int:
    return int(event_id.rpartition("-")[2])


class Ledger:
    """Everything that was answered 202, by stream."""

    def __init__(self, sent: Iterable[Sent]) -> None:
        self._by_stream: defaultdict[str, dict[str, Sent]] = defaultdict(dict)
        self._answered: set[Mark] = set()
        for event in sent:
            self._answered.add(event.mark)
            for event_id in event.ids:
                self._by_stream[stream_of(event_id)][event_id] = event

    def newest(self, stream: str) -> int:
        """Return the highest number of a stream that was answered; 0 if none was."""
        return max(map(number_of, self._by_stream[stream]), default=0)

    def judge(self, heard: Sequence[Heard], streams: Collection[str]) -> dict[str, Tally]:
        """Return a client's tally per stream; ``heard`` in the order of receipt, ``streams`` are those it may hear."""
        by_stream: dict[str, list[Heard]] = {stream: [] for stream in streams}
        tallies = {}
        strangers = []
        for event in heard:
            mine = by_stream.get(stream_of(event.id))
            if mine is None:
                strangers.append(event.id)
            else:
                mine.append(event)
        for stream, events in by_stream.items():
            tallies[stream] = self._judge_stream(self._by_stream[stream], events)
        for event_id in strangers:
            tallies.setdefault(stream_of(event_id), Tally()).strange.append(event_id)
        return tallies

    def _judge_stream(self, sent: dict[str, Sent], heard: list[Heard]) -> Tally:
        first = {event.id: event for event in reversed(heard)}  # its first receipt
        gaps = (first[event_id].at - event.at for event_id, event in sent.items() if event_id in first)
        return Tally(
            sent=len(sent),
            received=len(first),
            lost=[event_id for event_id in sent if event_id not in first] + _skipped(sent, first),
            doubled=_doubled(heard),
            disordered=self._disordered(heard),
            longest_gap=max(gaps, default=0.0),
        )

    def _disordered(self, heard: list[Heard]) -> list[str]:
        wrong = []
        highest = 0
        serials: dict[str, int] = {}
        seen: set[str] = set()
        for event in heard:
            if event.id in seen:
                continue  # doubled, which is another fault
            seen.add(event.id)
            producer, serial = event.mark
            late = event.mark in self._answered and serial < serials.get(producer, serial)
            if number_of(event.id) <= highest or late:
                wrong.append(event.id)
            highest = max(highest, number_of(event.id))
            if event.mark in self._answered:
                serials[producer] = max(serial, serials.get(producer, serial))
        return wrong


def _skipped(sent: dict[str, Sent], first: dict[str, Heard]) -> list[str]:
    """Return numbers that were left out between two that were heard: ids have no gaps, whatever became of the 202."""
    numbers = set(map(number_of, first))
    known = set(map(number_of, sent))
    span = range(min(numbers, default=0), max(numbers, default=0))
    return [f"number {n}" for n in span if n not in numbers and n not in known]


def _doubled(heard: list[Heard]) -> list[str]:
    wrong = []
    ids: set[str] = set()
    marks: set[Mark] = set()
    for event in heard:
        if event.id in ids or event.mark in marks:
            wrong.append(event.id)
        ids.add(event.id)
        marks.add(event.mark)
    return wrong


class Shown(NamedTuple):
    """A value of a video's progress as a client was shown it; None: the transcode has ended."""

    video: int
    progress: float | None


def backward_steps(shown: Iterable[Shown]) -> list[str]:
    """Return where a video's progress went back, or went on after its end. A video is transcoded once."""
    last: dict[int, float | None] = {}
    wrong = []
    for video, progress in shown:
        before = last.get(video, 0.0)
        if progress is not None and (before is None or progress < before):
            wrong.append(f"video {video}: {progress} after {'its end' if before is None else before}")
        else:
            last[video] = progress
    return wrong
