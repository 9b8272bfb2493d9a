"""A load test of VideoSite Realtime with Locust; `loadtests/README.md` tells how it is run and read.

    locust -f loadtests/locustfile.py --headless -u 1000 -r 50 -t 5m \\
        --ws-url http://127.0.0.1:8000 --router-url http://127.0.0.1:8001 --jwt-secret … --html report.html --csv load
"""

from __future__ import annotations

import logging
import resource
import sys
from argparse import ArgumentParser
from typing import Any

from locust import LoadTestShape, events
from locust.env import Environment
from locust.runners import WorkerRunner

from loadtests.swarm import options, users
from loadtests.swarm.conductor import Conductor
from loadtests.swarm.identities import BadOption
from loadtests.swarm.member import Member
from loadtests.swarm.station import Station
from loadtests.swarm.users import Admin, Browser, Transcoder

__all__ = ["Admin", "Browser", "OverTime", "Transcoder"]


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    options.add_to(parser)


@events.init.add_listener
def build(environment: Environment, **_: Any) -> None:
    """Build what the users of this process share, and what conducts them; a master plays none itself."""
    parsed: Any = environment.parsed_options
    worker = isinstance(environment.runner, WorkerRunner)
    if not worker:
        _check(parsed)
    users.cast(environment, admins=parsed.admins, transcoders=parsed.transcoders)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # else a line for every call
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a descriptor for each browser
    if not worker:
        environment.conductor = Conductor(environment)  # type: ignore[attr-defined]
    if worker or not parsed.master:
        environment.station = Station(environment.events.request.fire)  # type: ignore[attr-defined]
        environment.member = Member(environment, environment.station)  # type: ignore[attr-defined]


def _check(parsed: Any) -> None:
    """End with one line if the options make no test; with the web page they may still be filled in there."""
    if not parsed.headless and not parsed.autostart:
        return
    try:
        options.Options.read(parsed)
        options.shape(parsed)
    except BadOption as exc:
        sys.exit(f"locustfile: {exc}")


class OverTime(LoadTestShape):
    """The shape that was chosen."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:  # type: ignore[override]
        assert self.runner is not None
        ticked: tuple[int, float] | None = self.runner.environment.conductor.tick(self.get_run_time())  # type: ignore[attr-defined]
        return ticked
