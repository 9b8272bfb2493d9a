"""What breaks when: a pure function of a seed and a length, so that a seed brings a schedule back.

Kinds are dealt like cards: a shuffled deck holds each once, and when it is used up it is shuffled anew. So every kind
comes up in even the shortest schedule. Faults overlap; only one and the same part is never hit by two at a time, for
nobody could tell what the second one did.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

NODES: Final = ("node-1", "node-2", "node-3")
ROUTERS: Final = ("router-1", "router-2")
REDIS: Final = "redis"
CLIENTS: Final = "clients"
PRODUCERS: Final = "producers"

_EVERY: Final = 2.0  # s, on average, from the beginning of one fault to that of the next
_BREATH: Final = 3.0  # s in which a part becomes of use again, before it may be hit once more
_ENDING: Final = 12.0  # s before the end in which nothing new begins: the longest fault


class Act(StrEnum):
    KILL = "kill"  # kill -9, and started again
    PAUSE = "pause"  # SIGSTOP, SIGCONT
    RESTART = "restart"  # SIGTERM, and started again when it has ended
    RESET = "reset"  # connections are reset, those that try anew as well
    SWALLOW = "swallow"  # bytes vanish; connections that lost some stay dead without a sign
    MUTE = "mute"  # the same, of answers alone: what was asked is done
    HOLD = "hold"  # bytes wait until the end
    DELAY = "delay"  # bytes come late


CUTS: Final = {
    Act.RESET: (0.3, 4.0),
    Act.SWALLOW: (1.0, 8.0),
    Act.MUTE: (1.0, 8.0),
    Act.HOLD: (1.0, 8.0),
    Act.DELAY: (3.0, 8.0),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """What may be done to which parts, and for how long: s, at least and at most."""

    name: str
    act: Act
    parts: tuple[str, ...]
    lasts: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Fault:
    """One blow. Times in seconds from the schedule's beginning."""

    at: float
    lasts: float
    kind: Kind
    part: str

    @property
    def ends(self) -> float:
        return self.at + self.lasts

    def __str__(self) -> str:
        return f"{self.at:6.1f} s  {self.kind.act} {self.part} for {self.lasts:.1f} s"


def way(near: str, far: str) -> str:
    """Return the name of the network between two parts; who connects comes first."""
    return f"{near}~{far}"


def _cuts(name: str, ways: tuple[str, ...]) -> Iterator[Kind]:
    for act, lasts in CUTS.items():
        yield Kind(f"{name}: {act}", act, ways, lasts)


# Lengths lie on both sides of what the product waits for: an answer of Redis for 3 s, a lease's renewal for 8 s.
KINDS: Final = (
    Kind("node: kill", Act.KILL, NODES, (0.5, 5.0)),
    Kind("node: pause", Act.PAUSE, NODES, (0.5, 5.0)),
    Kind("node: pause beyond its lease", Act.PAUSE, NODES, (9.0, 12.0)),
    Kind("node: restart", Act.RESTART, NODES, (0.0, 2.0)),
    Kind("router: kill", Act.KILL, ROUTERS, (0.5, 5.0)),
    Kind("router: pause", Act.PAUSE, ROUTERS, (0.5, 6.0)),
    Kind("router: restart", Act.RESTART, ROUTERS, (0.0, 2.0)),
    Kind("redis: kill", Act.KILL, (REDIS,), (0.2, 4.0)),
    Kind("redis: pause", Act.PAUSE, (REDIS,), (0.5, 6.0)),
    *_cuts("node to redis", tuple(way(node, REDIS) for node in NODES)),
    *_cuts("router to redis", tuple(way(router, REDIS) for router in ROUTERS)),
    *_cuts("clients to node", tuple(way(CLIENTS, node) for node in NODES)),
    *_cuts("producers to router", tuple(way(PRODUCERS, router) for router in ROUTERS)),
)
WAYS: Final = tuple(dict.fromkeys(part for kind in KINDS for part in kind.parts if "~" in part))
SHORTEST: Final = _EVERY * len(KINDS) + _ENDING  # s


def make_schedule(seed: int, seconds: float) -> tuple[Fault, ...]:
    """Return the faults of a run, by their beginnings; all are over after ``seconds``.

    Raises:
        ValueError: too short for a fault of every kind.
    """
    if seconds < SHORTEST:
        raise ValueError(f"{seconds:.0f} s are too short for a fault of every kind; it takes {SHORTEST:.0f}")
    dice = random.Random(seed)
    free_from: dict[str, float] = {}
    beginnings = (number * _EVERY + dice.uniform(0, _EVERY) for number in range(round((seconds - _ENDING) / _EVERY)))
    faults = [_deal(kind, at, free_from, dice) for kind, at in zip(_decks(dice), beginnings, strict=False)]
    return tuple(sorted((_ended_by(seconds, fault) for fault in faults), key=lambda fault: fault.at))


def _decks(dice: random.Random) -> Iterator[Kind]:
    while True:
        yield from dice.sample(KINDS, len(KINDS))


def _deal(kind: Kind, at: float, free_from: dict[str, float], dice: random.Random) -> Fault:
    """Hit a part that is free, or the first one that will be."""
    parts = dice.sample(kind.parts, len(kind.parts))
    part = min(parts, key=lambda part: max(free_from.get(part, 0.0), at))
    fault = Fault(max(free_from.get(part, 0.0), at), dice.uniform(*kind.lasts), kind, part)
    free_from[part] = fault.ends + _BREATH
    return fault


def _ended_by(seconds: float, fault: Fault) -> Fault:
    at = min(fault.at, seconds)
    return Fault(at, min(fault.lasts, seconds - at), fault.kind, fault.part)
