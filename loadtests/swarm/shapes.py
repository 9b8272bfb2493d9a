"""How the load goes over time. Pure: seconds in; how many users, and what happens to them, out.

| shape | what |
| --- | --- |
| steady | -u users at -r per second, until -t |
| storm | a fifth of them; at a quarter of the time all others at once; at two thirds all are cut off at one moment |
| peak | steady; in the middle third ``--peak-factor`` times the broadcasts |
| restart | steady; at a third of the time the nodes are restarted one after another, and it ends when all have been |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from loadtests.swarm.identities import BadOption

CUT: Final = "cut"  # all connections of all users, at one moment
PEAK_BEGINS: Final = "peak begins"
PEAK_ENDS: Final = "peak ends"
RESTART: Final = "restart"


@dataclass(frozen=True, slots=True)
class Shape:
    """Attributes:
    steps: from which second on how many users, and how many of them are started per second.
    orders: in which second what happens.
    seconds: how long it takes; None: until somebody stops it.
    """

    steps: tuple[tuple[float, int, float], ...]
    orders: tuple[tuple[float, str], ...] = ()
    seconds: float | None = None

    def users(self, at: float) -> tuple[int, float] | None:
        """Return how many users there should be and how many are started per second; None when it is over."""
        if self.seconds is not None and at >= self.seconds:
            return None
        begun = [step for step in self.steps if step[0] <= at]
        return begun[-1][1:]

    def due(self, before: float, at: float) -> list[str]:
        """Return what happens after one time and up to another."""
        return [order for second, order in self.orders if before < second <= at]


def shape(name: str, users: int, rate: float, seconds: float | None, *, storm_rate: float = 0) -> Shape:
    """Return a shape by its name; raises ``BadOption`` if these figures do not make one."""
    if name == "steady":
        return Shape(((0.0, users, rate),), (), seconds)
    if seconds is None:
        raise BadOption(f"--shape {name} needs a run time: -t 5m")
    if name == "storm":
        few = max(users // 5, 1)
        _in_time(name, few / rate, seconds / 4)
        steps = ((0.0, few, rate), (seconds / 4, users, storm_rate or users))
        return Shape(steps, ((seconds * 2 / 3, CUT),), seconds)
    _in_time(name, users / rate, seconds / 3)
    if name == "peak":
        return Shape(((0.0, users, rate),), ((seconds / 3, PEAK_BEGINS), (seconds * 2 / 3, PEAK_ENDS)), seconds)
    return Shape(((0.0, users, rate),), ((seconds / 3, RESTART),), seconds)


def _in_time(name: str, ramp: float, limit: float) -> None:
    if ramp > limit:
        raise BadOption(
            f"--shape {name}: to start the users takes {ramp:.0f} s at this rate (-r), and there are {limit:.0f}"
        )
