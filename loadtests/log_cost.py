"""What logs cost: CPU per event told, and per event that is not.

    .venv/bin/python loadtests/log_cost.py [--repeat 7]

In one process, without sockets and Redis; lines go to /dev/null. The figure is the best of several runs: what others do
on the machine can only add to it.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
import time
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from router.call_log import CallLog
from router.callers import Caller
from router.lean_route import Call
from router.operations import Operation, Origin
from router.order import Order, Outcome, Target
from router.settings import RouterSettings
from shared import logs, trace_context
from shared.messages import prepare

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CALL = Call("/api/v1/messages", {}, b"", ("203.0.113.9", 40000))
CALLER = Caller("key:1", frozenset({"publish"}), "key:3f2a9b1c")
OPERATION = Operation("key:1", "op-1", "0", explicit=False)
MESSAGES = {
    "a personal message": {"type": "order_paid", "order": 10482},
    "progress": {"type": "transcode_progress", "video_id": 1, "status": "processing", "progress": 45},
    "a completion": {"type": "transcode_complete", "video_id": 1, "title": "t", "format_type": "av1", "file_size": 1},
    "a broadcast, with its audit": {"type": "news"},
}


def target(stream: str) -> Target:
    return Target("1", stream, stream, "", "", label=stream)


def order(name: str) -> Order:
    to = {"a personal message": "u.Nw", "a broadcast, with its audit": "all"}.get(name, "admin")
    return Order(prepare(MESSAGES[name], now_us=1), [target(to)], OPERATION, Origin(TRACE, 1))


@contextlib.contextmanager
def lines_to_nowhere() -> Iterator[None]:
    settings = RouterSettings(router_api_keys="a-service-key-of-ours", jwt_secret="x" * 40, log_format="json")
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        logs.configure(settings, "router", "router-1")
        yield


def microseconds(work: Callable[[], object], count: int, repeat: int) -> float:
    return min(timeit.repeat(work, number=count, repeat=repeat, timer=time.process_time)) / count * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=7)
    repeat = parser.parse_args().repeat
    figures: dict[str, float] = {}
    with lines_to_nowhere():
        call_log, outcome = CallLog(), Outcome({"all": "all.1-1", "admin": "admin.1-1"}, 2, online=True)
        for name in MESSAGES:
            told = order(name)
            figures[f"router, {name}"] = microseconds(
                lambda told=told: call_log.published(CALL, CALLER, told, outcome), 5000, repeat
            )
        figures["router, a trace taken over"] = microseconds(lambda: trace_context.continued(TRACE), 20_000, repeat)
        logger, handler = logging.getLogger("node.session_log"), logging.getLogger().handlers[0]
        fields = {"reason": "token expired", "code": 4401, "kind": "user", "trace_id": TRACE[3:35]}
        figures["any, a line left out in a flood"] = microseconds(
            lambda: logger.info("handshake refused", extra=fields), 5000, repeat
        )
        record = logger.makeRecord(logger.name, logging.INFO, "", 1, "handshake refused", (), None, extra=fields)
        figures["any, a line as JSON"] = microseconds(lambda: handler.format(record), 5000, repeat)
    for name, value in figures.items():
        print(f"{name:45} {value:7.2f} µs")


if __name__ == "__main__":
    main()
