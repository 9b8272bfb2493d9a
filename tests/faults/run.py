"""One run: traffic flows, the conductor strikes, and then everything has to be there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.aftermath import counters_are_right, everything_is_there
from tests.faults.conductor import Conductor
from tests.faults.crowd import Crowd
from tests.faults.ledger import Ledger
from tests.faults.report import ClientReport, Report
from tests.faults.schedule import make_schedule
from tests.faults.stage import Stage
from tests.faults.traffic import Record, Traffic
from tests.support.waiting import until

PROMISED: Final = 15.0  # s until everything is there and counted, from the last fault or from a 202 after it
_AFTERWARDS: Final = 3.0  # s for which traffic goes on after the last fault


@dataclass(frozen=True)
class Plan:
    """What a run is to be; ``pace`` and ``broadcasts`` as :class:`Traffic` takes them."""

    seed: int
    seconds: float
    users: int = 24
    admins: int = 6
    pace: float = 0.15
    broadcasts: float = 0.2


async def run(plan: Plan, directory: Path) -> Report:
    """Run a plan on a stage of its own, whose logs are in ``directory``."""
    schedule = make_schedule(plan.seed, plan.seconds)
    report = Report(plan.seed, plan.seconds, schedule)
    record = Record()
    async with Stage(directory) as stage:
        crowd = Crowd(stage, users=plan.users, admins=plan.admins, seed=plan.seed)
        traffic = Traffic(stage, record, users=plan.users, pace=plan.pace, broadcasts=plan.broadcasts, seed=plan.seed)
        async with crowd.watching():
            async with traffic.flowing():
                await Conductor(stage, schedule).run()
                over = time.monotonic()
                report.counted_after = await _within_promise(lambda: counters_are_right(stage, crowd), over, report)
                await asyncio.sleep(over + _AFTERWARDS - time.monotonic())
            ledger = Ledger(record.sent)
            last = max(over, *(event.at for event in record.sent))
            report.settled_after = await _within_promise(
                lambda: everything_is_there(crowd, ledger, record), last, report
            )
            report.clients = [ClientReport.of(viewer, streams, ledger) for viewer, streams in crowd.streams()]
    report.other_flaws += [f"{name}: nothing has passed" for name in stage.unused_ways()]
    report.other_flaws += [f"{name}: a traceback in its log" for name in stage.tracebacks()]
    report.events, report.states, report.unknown = len(record.sent), record.states, record.unknown
    return report


async def _within_promise(look: Callable[[], bool | Awaitable[bool]], since: float, report: Report) -> float | None:
    """Return how long it took until all was well; None, and a flaw in the report, if it took too long."""
    try:
        await until(look, timeout=PROMISED - (time.monotonic() - since))
    except AssertionError as exc:
        report.other_flaws.append(str(exc))
        return None
    return time.monotonic() - since
