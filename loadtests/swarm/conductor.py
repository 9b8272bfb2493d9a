"""What happens once in a test, however many processes play its users: the shape's orders, and the reckoning at the end.

The end, before any user is stopped: all processes publish no more; each says for which positions its routers answered;
all are told the sum of it, and wait until every client of theirs has it. So a message that one process sent is
missed at the client that another one plays, and a loss with nothing after it is a loss too.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from typing import Any, Final

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.runners import STATE_RUNNING, STATE_SPAWNING, MasterRunner, Runner

from loadtests.swarm import options, shapes
from loadtests.swarm.clock import Clock
from loadtests.swarm.restart import RestartWatch
from loadtests.swarm.station import CHECK, MAXIMA, Failure
from loadtests.swarm.streams import Flaw, Tops

logger = logging.getLogger("loadtest")

_ANSWERS: Final = 60.0  # s for all processes to say what they were answered
_TOO_BUSY: Final = 75  # % of a core on average
_MARGIN: Final = 20.0  # s beyond the clients' patience, for their processes to report


class Conductor:
    """Attributes:
    tally: of all processes together, once they have settled.
    """

    def __init__(self, environment: Environment) -> None:
        assert environment.runner is not None
        self._environment, self._runner = environment, environment.runner
        self._runner_of_all: Runner = environment.runner
        for name, listener in (
            ("clock", self._on_clock),
            ("answered", self._on_answered),
            ("settled", self._on_settled),
        ):
            self._runner.register_message(name, listener)
        environment.events.test_start.add_listener(self._on_test_start)
        environment.events.test_stopping.add_listener(self._on_test_stopping)
        environment.events.quitting.add_listener(self._on_quitting)
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.tally: Counter[str] = Counter()
        self._tops = Tops()
        self._waiting: set[str] = set()
        self._met: set[str] = set()  # processes that have played users in this test
        self._all_there = Event()
        self._ticked = 0.0
        self._closing = False
        self._closed = Event()
        self._shape: shapes.Shape | None = None
        self._watch: RestartWatch | None = None

    @property
    def _parsed(self) -> Any:
        return self._environment.parsed_options

    def _send(self, name: str, data: Any = None) -> None:
        self._runner.send_message(name, data)

    def _members(self) -> set[str]:
        if not isinstance(self._runner, MasterRunner):
            return {"local"}
        clients = self._runner.clients
        return {client.id for client in (*clients.ready, *clients.spawning, *clients.running)}

    # --- the test

    def _on_test_start(self, **_: Any) -> None:
        self._begin_anew()
        self._send("cast", {"workers": len(self._members()), "users": self._parsed.num_users})

    def _on_clock(self, msg: Any, **_: Any) -> None:
        data = {"asked": msg.data["asked"], "answer": Clock.here()}
        self._runner.send_message("time", data, msg.node_id)

    def tick(self, at: float) -> tuple[int, float] | None:
        """Do what is due; return how many users there should be, or None when the test is over."""
        parsed = self._parsed
        self._met |= self._members()
        if self._shape is None:
            self._shape = options.shape(parsed)
        for order in self._shape.due(self._ticked, at):
            self._order(order)
        self._ticked = at
        users = self._shape.users(at)
        if users is None and self._restarting(at):
            return self._shape.steps[-1][1:]
        return users

    def _order(self, order: str) -> None:
        logger.info("shape: %s", order)
        match order:
            case shapes.CUT:
                self._send("cut")
            case shapes.PEAK_BEGINS:
                self._send("factor", {"broadcast": self._parsed.peak_factor})
            case shapes.PEAK_ENDS:
                self._send("factor", {"broadcast": 1.0})
            case shapes.RESTART:
                read = options.Options.read(self._parsed)
                self._watch = RestartWatch(read.router_url, read.api_key, self._parsed.restart_command)
                gevent.spawn(self._watch.run)

    def _restarting(self, at: float) -> bool:
        assert self._shape is not None
        assert self._shape.seconds is not None
        latest = self._shape.seconds + self._parsed.restart_timeout
        return self._watch is not None and not self._watch.over and at < latest

    # --- the end

    def _on_test_stopping(self, **_: Any) -> None:
        # Fired before Locust stops a user; two of its greenlets may come here, and the second waits for the first.
        if self._closing:
            self._closed.wait()
            return
        self._closing = True
        try:
            self._close()
        finally:
            self._closed.set()

    def _close(self) -> None:
        members = self._members()
        if gone := self._met - members:
            # What its clients had got, and what its producers were answered, went with it.
            self._failed("processes that ended before the test did", len(gone))
        self._gather("quiet", None, members, _ANSWERS)
        self._gather("tops", self._tops.packed(), members, self._parsed.patience + _MARGIN)
        if self._parsed.shape == "restart":
            self._judge_restart()
        if self.tally["clients"] == 0:
            self._failed("no client was there at the end")
        if self.tally["busiest process %"] > _TOO_BUSY:
            logger.warning("a process was at its limit: what it measured is its own latency; give it fewer users")
        print(self.summary(), file=sys.stderr, flush=True)
        gevent.sleep(1.5)  # the CSV files are written anew every second

    def _judge_restart(self) -> None:
        if self._watch is None or not self._watch.over:
            self._failed("no rolling restart was seen, or not its end")
        elif self._watch.failed:
            self._failed(self._watch.failed)

    def _gather(self, name: str, data: Any, members: set[str], seconds: float) -> None:
        """Send a message and wait for the answers of all members."""
        self._waiting = set(members)
        self._all_there.clear()
        self._send(name, data)
        if not self._all_there.wait(seconds):
            self._failed(f"processes that did not answer {name!r}", len(self._waiting))

    def _there(self, msg: Any) -> None:
        self._waiting.discard(msg.node_id)
        if not self._waiting:
            self._all_there.set()

    def _on_answered(self, msg: Any, **_: Any) -> None:
        self._tops.merge(msg.data)
        self._there(msg)

    def _on_settled(self, msg: Any, **_: Any) -> None:
        for name, count in msg.data.items():
            self.tally[name] = max(self.tally[name], count) if name in MAXIMA else self.tally[name] + count
        self._there(msg)

    def _failed(self, why: str, count: int = 1) -> None:
        self.tally["not checked"] += count
        logger.error(why)
        for _ in range(count):
            self._environment.events.request.fire(
                request_type=CHECK, name=why, response_time=0, response_length=0, exception=Failure(why), context={}
            )

    def summary(self) -> str:
        """Return what was sent, what was received, and what was wrong with it."""
        tally = self.tally
        flaws = ", ".join(f"{flaw} {tally[flaw]}" for flaw in Flaw)
        others = {name: n for name, n in sorted(tally.items()) if name not in set(Flaw)}
        told = ", ".join(f"{name} {n}" for name, n in others.items() if name not in {"clients", "complete", "events"})
        return (
            f"\n{tally['clients']} clients at the end, {tally['complete']} of them with everything; "
            f"{tally['events']} deliveries of events\n{flaws}\n({told})\n"
        )

    def _on_quitting(self, **_: Any) -> None:
        """Let attempts that failed be told without being the test's failure: the client came in with the next one."""
        if self._runner_of_all.state in {STATE_RUNNING, STATE_SPAWNING}:
            self._runner_of_all.quit()  # Ctrl-C: the reckoning first
        errors = self._runner_of_all.stats.errors.values()
        if self._environment.process_exit_code is None and not self._runner_of_all.exceptions:
            decisive = [error for error in errors if not error.method.endswith("attempt")]
            self._environment.process_exit_code = self._parsed.exit_code_on_error if decisive else 0
