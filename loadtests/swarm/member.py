"""A process that plays users, and what it does when the master (or, alone, its own conductor) says so.

Messages of Locust's own channel, by name. Alone, both ends are the same process, and a message is a call.

| message | from | what |
| --- | --- | --- |
| cast | conductor | how many processes and users there are; before the first user starts |
| clock, time | member, conductor | asks what time it is, several times; and is told |
| factor | conductor | how many times its rate a kind of message is sent at |
| cut | conductor | all connections are lost, at one moment |
| quiet | conductor | publish no more |
| answered | member | for which positions routers have answered 202 |
| tops | conductor | the same of all processes: what every client must have at the end |
| settled | member | every client has it, or the patience is at its end; and the tally |
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from locust.env import Environment
from locust.runners import Runner, WorkerRunner

from loadtests.swarm.clock import Clock, Probe
from loadtests.swarm.options import Options
from loadtests.swarm.station import CHECK, Station
from loadtests.swarm.streams import Tops

_PROBES: Final = 8
_LAST_CALLS: Final = 40.0  # s; the SDK gives up after 30
_REPORT: Final = 10.0  # s until the rows of the end have left for the master; it takes 3


class Member:
    def __init__(self, environment: Environment, station: Station) -> None:
        assert environment.runner is not None
        self._environment, self._station = environment, station
        self._runner: Runner = environment.runner
        self._remote = isinstance(self._runner, WorkerRunner)
        self._probes: list[Probe] = []
        self._users: int | None = None
        self._reports = 0
        listeners: dict[str, Callable[..., None]] = {
            "cast": self._on_cast,
            "time": self._on_time,
            "factor": self._on_factor,
            "cut": self._on_cut,
        }
        for name, listener in listeners.items():
            self._runner.register_message(name, listener)
        # These wait, and the channel must not wait with them.
        self._runner.register_message("quiet", self._on_quiet, concurrent=True)
        self._runner.register_message("tops", self._on_tops, concurrent=True)
        environment.events.test_start.add_listener(self._on_test_start)
        environment.events.report_to_master.add_listener(self._on_report)

    def _on_cast(self, msg: Any, **_: Any) -> None:
        self._station.worker, self._station.workers = self._runner.worker_index, msg.data["workers"]  # type: ignore[attr-defined]
        self._users = msg.data["users"]

    def _on_test_start(self, **_: Any) -> None:
        parsed = self._environment.parsed_options
        assert parsed is not None
        if self._users is not None:
            parsed.num_users = self._users  # Locust hands on the options of a locustfile, not its own
        self._station.begin_anew()
        self._station.play(Options.read(parsed))
        if self._remote:
            self._probes.clear()
            self._ask_the_time()

    # --- the clock

    def _ask_the_time(self) -> None:
        self._runner.send_message("clock", {"asked": Clock.here()})

    def _on_time(self, msg: Any, **_: Any) -> None:
        self._probes.append(Probe(msg.data["asked"], msg.data["answer"], Clock.here()))
        if len(self._probes) < _PROBES:
            self._ask_the_time()
        else:
            self._station.clock.set_by(self._probes)

    # --- orders

    def _on_factor(self, msg: Any, **_: Any) -> None:
        self._station.factors.update(msg.data)

    def _on_cut(self, **_: Any) -> None:
        for watcher in list(self._station.watchers):
            watcher.cut()

    # --- the end

    def _on_quiet(self, **_: Any) -> None:
        station = self._station
        station.publishing = False
        if not station.wait(lambda: station.calls == 0, _LAST_CALLS):
            station.tally["calls unanswered"] += station.calls
        self._runner.send_message("answered", station.tops.packed())

    def _on_tops(self, msg: Any, **_: Any) -> None:
        station, tops, began = self._station, Tops(), time.perf_counter()
        tops.merge(msg.data)
        watchers = list(station.watchers)
        station.wait(lambda: all(watcher.has_everything(tops) for watcher in watchers), station.options.patience)
        for watcher in watchers:
            if watcher.has_everything(tops):
                station.tally["complete"] += 1
                station.rows.took(CHECK, "has everything", (time.perf_counter() - began) * 1000, 0)
            watcher.leave(tops)
        station.tally["clients"] += len(watchers)
        station.tally["busiest process %"] = station.busy()
        if station.clock.error is not None:
            station.tally["clock error us"] = station.clock.error
            station.tally["clock offset us"] = abs(station.clock.offset)
        self._hand_in_rows()
        self._runner.send_message("settled", dict(station.tally))

    def _hand_in_rows(self) -> None:
        """Wait until a report with the rows above has left: the master quits when the last one has settled."""
        if self._remote:
            reports = self._reports
            self._station.wait(lambda: self._reports > reports, _REPORT)

    def _on_report(self, **_: Any) -> None:
        self._reports += 1
