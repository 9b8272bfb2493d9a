"""What one core does at most, as a table: this project beside what others would write, in one run.

    .venv/bin/python -m loadtests.bench [--servers ours naive socketio] [--connections 2000] [--seconds 3] [--repeat 1]

All parts of a server, Redis included, share core 0; clients and publishers core 1. CPU is user and system time of the
servers' processes, which on loopback contains the kernel's way of every packet. Every message is counted at every
client. `*`: the client, not the server, was at its limit, and the rate is its.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import os
import random
import resource
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable

from loadtests.bench.crowd import Crowd
from loadtests.bench.figures import Cpu, pss_kib
from loadtests.bench.servers import SERVERS, Server

ROWS = {
    "broadcast": "server CPU per broadcast delivery, µs",
    "deliveries": "deliveries/s, saturated",
    "memory": "memory per idle connection, KiB",
    "connect": "CPU per authenticated connect, ms",
    "heartbeat": "CPU per heartbeat, µs",
    "personal": "CPU per personal message, µs: HTTP, Redis, node",
    "batched": "the same in batches of 100",
    "lost": "lost",
}
_BUSY = 0.9  # of a core
_BATCH = 100
_PUBLISHERS = 16
Figures = dict[str, str | float]


class Bench:
    """Measures one server with one crowd."""

    def __init__(self, server: Server, crowd: Crowd, options: argparse.Namespace) -> None:
        self._server, self._crowd, self._options = server, crowd, options
        self._dice = random.Random(options.seed)
        self._cpu = Cpu(server.pids)
        self.figures: Figures = {"lost": 0}

    def run(self) -> Figures:
        self._warm_up()
        self._connect()
        if self._server.name == "this project":
            self._heartbeats()
        self._broadcasts()
        self._personal()
        if self._server.batch is not None:
            self._batches()
        return self.figures

    def _warm_up(self) -> None:
        """What is imported, compiled and allocated only once costs no connection."""
        self._crowd.connect(range(50))
        self._post((self._server.broadcast,) * 20, 20 * 50)
        self._post((self._server.personal(user % 50) for user in range(300)), 300)
        self._crowd.rest(0.5)

    def _connect(self) -> None:
        before, wanted = pss_kib([self._server.pids[self._server.node]]), self._options.connections
        self._cpu.reset()
        self._crowd.connect(range(50, 50 + wanted))
        self._crowd.rest(1)
        self.figures["connect"] = self._cpu.total() / wanted * 1e3
        self.figures["memory"] = (pss_kib([self._server.pids[self._server.node]]) - before) / wanted

    def _heartbeats(self) -> None:
        rounds, clients = 5, len(self._crowd.clients)
        self._crowd.reset()
        self._cpu.reset()
        for turn in range(1, rounds + 1):
            self._crowd.say(b"ping")
            self._crowd.until(lambda turn=turn: self._crowd.received >= turn * clients, 60)  # type: ignore[misc]
        self.figures["heartbeat"] = self._cpu.total() / (rounds * clients) * 1e6

    def _broadcasts(self) -> None:
        clients = len(self._crowd.clients)
        began = time.perf_counter()
        self._post((self._server.broadcast,) * 3, 3 * clients)
        count = max(int(3 / (time.perf_counter() - began) * self._options.seconds), 5)
        cost, rate, client_bound = self._post((self._server.broadcast,) * count, count * clients, publishers=4)
        self.figures["broadcast"] = cost
        self.figures["deliveries"] = f"{rate:,.0f}{'*' if client_bound else ''}"

    def _personal(self) -> None:
        users = len(self._crowd.clients)
        requests = [self._server.personal(self._dice.randrange(users)) for _ in range(self._options.messages)]
        self.figures["personal"] = self._post(requests, len(requests))[0]

    def _batches(self) -> None:
        assert self._server.batch is not None
        users, batch = len(self._crowd.clients), self._server.batch
        count = max(self._options.messages // _BATCH * 4, 1)
        requests = [batch([self._dice.randrange(users) for _ in range(_BATCH)]) for _ in range(count)]
        self.figures["batched"] = self._post(requests, count * _BATCH)[0]

    def _post(
        self, requests: Iterable[bytes], expected: int, *, publishers: int = _PUBLISHERS
    ) -> tuple[float, float, bool]:
        """Publish, and wait for all; return µs per delivery, deliveries per s, whether the client was the limit."""
        crowd = self._crowd
        crowd.reset()
        self._cpu.reset()
        began, busy = time.perf_counter(), time.process_time()
        crowd.publish(requests, port=self._server.publish_port, connections=publishers, expected=expected)
        span = crowd.last - began
        client_bound = (time.process_time() - busy) / span > _BUSY and self._cpu.total() / span < _BUSY
        crowd.rest(0.2)  # whatever comes too much comes now
        self.figures["lost"] = int(self.figures["lost"]) + expected - crowd.received
        return self._cpu.total() / expected * 1e6, expected / span, client_bound


async def measure(name: str, options: argparse.Namespace) -> tuple[str, Figures]:
    async with SERVERS[name]() as server:
        gc.disable()  # of the client: its pauses are nobody's cost
        try:
            with Crowd([server.port], server.dialect) as crowd:
                return server.name, Bench(server, crowd, options).run()
        finally:
            gc.enable()


def table(results: list[tuple[str, Figures]]) -> str:
    """Return the medians as a Markdown table."""
    by_server: dict[str, list[Figures]] = defaultdict(list)
    for name, figures in results:
        by_server[name].append(figures)
    lines = [f"| | {' | '.join(by_server)} |", "|---" * (len(by_server) + 1) + "|"]
    for row, title in ROWS.items():
        cells = [_cell([figures[row] for figures in runs if row in figures]) for runs in by_server.values()]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(values: list[str | float]) -> str:
    if not values:
        return "–"
    if isinstance(values[0], str):
        return sorted(map(str, values), key=len)[len(values) // 2]
    value = statistics.median(float(each) for each in values)
    return f"{value:.0f}" if value == int(value) or value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", nargs="+", choices=list(SERVERS), default=list(SERVERS))
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=3, help="of saturated broadcasts, about")
    parser.add_argument("--messages", type=int, default=5000, help="personal ones; four times as many in batches")
    parser.add_argument("--repeat", type=int, default=1, help="rounds over all servers; the table has medians")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    results = []
    for _, name in itertools.product(range(options.repeat), options.servers):
        print(f"{name} …", flush=True)
        results.append(asyncio.run(measure(name, options)))
    print(f"\n{options.connections} connections, load average {os.getloadavg()[0]:.1f}\n\n{table(results)}")


if __name__ == "__main__":
    main()
