"""What came of a run: per client, per audience, in total; and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.faults.ledger import Ledger, Tally, backward_steps
from tests.faults.reading import heard_by, shown_to
from tests.faults.schedule import Fault
from tests.support.viewer import Viewer

_SHOWN = 5  # of one client's flaws of one kind; the numbers are in the tables
_FLAWS = 40
_COLUMNS = ("sent", "received", "lost", "doubled", "out of order", "longest gap, s")
_OF_CLIENTS = ("longest silence, s", "reconnects", "recovered", "not", "closes")


@dataclass(frozen=True)
class ClientReport:
    """How one client fared.

    Attributes:
        silence: s without any message, at longest.
        recovered: how often it was told that everything missed follows, and how often that it does not.
        backward: where progress went back before its eyes.
    """

    name: str
    tallies: dict[str, Tally]
    silence: float
    reconnects: int
    recovered: tuple[int, int]
    closes: Counter[int]
    complaints: tuple[str, ...]
    backward: tuple[str, ...]

    @classmethod
    def of(cls, viewer: Viewer, streams: Sequence[str], ledger: Ledger) -> ClientReport:
        times = [received.at for received in viewer.received]
        return cls(
            viewer.name,
            ledger.judge(heard_by(viewer), streams),
            max((later - earlier for earlier, later in pairwise(times)), default=0.0),
            viewer.reconnects,
            (viewer.welcomes.count(True), viewer.welcomes.count(False)),
            viewer.closes,
            tuple(viewer.complaints),
            tuple(backward_steps(shown_to(viewer))),
        )

    @property
    def total(self) -> Tally:
        return _sum(self.tallies.values())


@dataclass
class Report:
    """A run's result; ``flaws`` is empty if all is well."""

    seed: int
    seconds: float
    schedule: Sequence[Fault]
    clients: list[ClientReport] = field(default_factory=list)
    events: int = 0
    states: int = 0
    unknown: int = 0
    settled_after: float | None = None
    counted_after: float | None = None
    other_flaws: list[str] = field(default_factory=list)

    @property
    def audiences(self) -> dict[str, Tally]:
        tallies: dict[str, Tally] = {}
        for client in self.clients:
            for stream, tally in client.tallies.items():
                tallies.setdefault(stream, Tally()).add(tally)
        return tallies

    @property
    def total(self) -> Tally:
        return _sum(client.total for client in self.clients)

    def flaws(self) -> list[str]:
        found = list(self.other_flaws)
        for client in self.clients:
            for stream, tally in client.tallies.items():
                for name in ("lost", "doubled", "disordered", "strange"):
                    ids = getattr(tally, name)
                    if ids:
                        found.append(f"{client.name}: {len(ids)} {name} in {stream}: {', '.join(ids[:_SHOWN])}")
            found += [f"{client.name}: {complaint}" for complaint in client.complaints[:_SHOWN]]
            found += [f"{client.name}: {step}" for step in client.backward[:_SHOWN]]
        return found

    def text(self) -> str:
        """Return all of it for people, the sum at the end."""
        parts = ["The schedule:", *map(str, self.schedule), "", *self._clients(), "", *self._audiences(), ""]
        return "\n".join([*parts, self.summary()])

    def summary(self) -> str:
        total = self.total
        flaws = self.flaws()
        return "\n".join(
            [
                f"seed {self.seed}, {self.seconds:.0f} s, {len(self.schedule)} faults, {len(self.clients)} clients",
                f"{self.events} events and {self.states} states answered 202; {self.unknown} calls of unknown fate",
                f"{total.received} deliveries: {len(total.lost)} lost, {len(total.doubled)} doubled, "
                f"{len(total.disordered)} out of order, longest gap {total.longest_gap:.1f} s",
                f"after the last fault everything was there in {_seconds(self.settled_after)}, "
                f"the counters were right in {_seconds(self.counted_after)}",
                *([f"{len(flaws)} flaws:", *flaws[:_FLAWS]] if flaws else ["no flaw"]),
            ]
        )

    def _clients(self) -> list[str]:
        rows = [("client", *_COLUMNS, *_OF_CLIENTS)]
        for client in self.clients:
            closes = " ".join(f"{code}:{number}" for code, number in sorted(client.closes.items()))
            yes, no = client.recovered
            more = (f"{client.silence:.1f}", str(client.reconnects), str(yes), str(no), closes)
            rows.append((client.name, *_cells(client.total), *more))
        return _table(rows)

    def _audiences(self) -> list[str]:
        rows = [("audience", *_COLUMNS)]
        rows += [(stream, *_cells(tally)) for stream, tally in self.audiences.items()]
        return _table(rows)


def _sum(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return total


def _cells(tally: Tally) -> tuple[str, ...]:
    numbers = (tally.sent, tally.received, len(tally.lost), len(tally.doubled), len(tally.disordered))
    return (*map(str, numbers), f"{tally.longest_gap:.1f}")


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _seconds(value: float | None) -> str:
    return "no time" if value is None else f"{value:.1f} s"
