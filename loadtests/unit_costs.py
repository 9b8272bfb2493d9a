"""What one of everything costs: the figures that `videosite-realtime plan` reckons with.

    .venv/bin/python -m loadtests.unit_costs [--clients 3000] [--messages 4000] [--rounds 3] [--write]

Redis, router and nodes run on core 0, clients and publishers on core 1. Two clusters are measured in every round, one
of one node and one of four: what differs between them is the further nodes'. What passes while nothing happens is taken
off. Of CPU the least of all rounds counts, for whatever else runs on the machine only adds to it; of everything else
the median. It is printed as JSON, and with --write goes where the command line finds it.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import math
import os
import random
import resource
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtests.bench.crowd import Crowd
from loadtests.bench.figures import pss_kib
from loadtests.bench.meter import Meter, Reading
from loadtests.bench.ours import MESSAGE, Requests
from loadtests.stage import stage
from shared.ids import user_stream
from shared.keys import TAGS
from tests.support.cluster import Cluster

FILE = Path(__file__).parents[1] / "cli/src/videosite_realtime_cli/capacity/unit_costs.json"
_PUBLISHERS = 8
_BATCH = 100
_COMPARED_EVERY = 10  # s; node/tops.py
_MORE_NODES = 4
_RAW = ("idle", "crowded", "broadcast to all")  # of which costs are derived


class OneNode:
    """Measures a cluster of one node."""

    def __init__(self, cluster: Cluster, crowd: Crowd, options: argparse.Namespace) -> None:
        self._cluster, self._crowd, self._options = cluster, crowd, options
        self._ask, self._meter, self._dice = Requests(cluster), Meter(cluster), random.Random(options.seed)
        self.costs: dict[str, Reading] = {}
        self.memory: dict[str, float] = {}

    def run(self) -> None:
        self._warm_up()
        self.costs["idle"] = self._meter.rest(self._crowd.rest, self._options.rest)
        self._broadcasts("broadcast")
        self._clients()
        self._heartbeats()
        self._broadcasts("broadcast to all")
        self._personal()
        self._progress()
        self._leave()
        self._meter.close()

    def _warm_up(self) -> None:
        # Users of the warming up are others: those below are to have their first event while it is measured.
        self._crowd.connect(range(1_000_000, 1_000_050))
        users = [1_000_000 + number % 50 for number in range(300)]
        self._post([self._ask.personal(user, keyed=True) for user in users], 300)
        self._post([self._ask.broadcast()] * 10, 500)
        self._crowd.leave(49)
        self._crowd.rest(1)

    def _post(self, requests: list[bytes], expected: int, publishers: int = _PUBLISHERS) -> None:
        self._crowd.reset()
        port = self._cluster.router.port
        self._crowd.publish(requests, port=port, connections=publishers, expected=expected)

    def _clients(self) -> None:
        count, pids = self._options.clients, [self._cluster.node.pid]
        before = pss_kib(pids)

        def connect() -> None:
            self._crowd.connect(range(count))
            self._crowd.rest(1)

        self.costs["connect"] = self._meter.of(connect, count)
        self.memory["node_connection"] = (pss_kib(pids) - before) / count * 1024
        self.memory["redis_user"] = self.costs["connect"].memory
        self.costs["crowded"] = self._meter.rest(self._crowd.rest, self._options.rest)
        self.memory["node"], self.memory["router"] = before * 1024, pss_kib([self._cluster.router.pid]) * 1024

    def _heartbeats(self) -> None:
        rounds, clients = 5, len(self._crowd.clients)

        def ping() -> None:
            self._crowd.reset()
            for turn in range(1, rounds + 1):
                self._crowd.say(b"ping")
                self._crowd.until(lambda turn=turn: self._crowd.received >= turn * clients, 60)  # type: ignore[misc]

        self.costs["heartbeat"] = self._meter.of(ping, rounds * clients)

    def _broadcasts(self, name: str) -> None:
        clients = len(self._crowd.clients)
        count = max(min(200_000 // clients, 200), 20)
        requests = [self._ask.broadcast(keyed=True) for _ in range(count)]
        self.costs[name] = self._meter.of(lambda: self._post(requests, count * clients, publishers=1), count)

    def _personal(self) -> None:
        users = list(range(self._options.clients))
        self._dice.shuffle(users)
        # Everybody's first event, then more: what a stream takes shows in its keys.
        first = [self._ask.personal(user, keyed=True) for user in users]
        prefix = self._cluster.prefix
        self._post(first, len(first))
        self.memory["redis_stream"] = self._meter.key_bytes(f"{prefix}:stream:*:u.*")
        self.memory["redis_operation"] = self._meter.key_bytes(f"{prefix}:op:*")
        self.memory["redis_claim"] = self._meter.key_bytes(f"{prefix}:claim:*")
        self.memory["redis_known_user"] = self._meter.key_bytes(f"{prefix}:seq:*") * len(TAGS) / len(users)
        singles = [self._ask.personal(self._dice.choice(users), keyed=True) for _ in range(self._options.messages)]
        self.costs["personal"] = self._meter.of(lambda: self._post(singles, len(singles)), len(singles))
        batches = [
            self._ask.batch([self._dice.choice(users) for _ in range(_BATCH)], keyed=True)
            for _ in range(max(self._options.messages * 3 // _BATCH, 1))
        ]
        count = len(batches) * _BATCH
        self.costs["batched"] = self._meter.of(lambda: self._post(batches, count), count)
        favourite = [self._ask.batch([users[0]] * _BATCH), self._ask.batch([users[0]] * _BATCH)]
        self._post(favourite, 2 * _BATCH, publishers=1)
        self.memory["redis_event"] = self._event_bytes(users[0])

    def _event_bytes(self, user: int) -> float:
        full = self._meter.key_bytes(f"{self._cluster.prefix}:stream:*:{user_stream(str(user))}")
        return (full - self.memory["redis_stream"]) / (2 * _BATCH)

    def _progress(self) -> None:
        self._crowd.connect([1], dialect=self._ask.admin_dialect)
        users = self._options.clients
        requests = [self._ask.progress(video, 45, video % users) for video in range(self._options.messages)]
        self._post(requests[:50], 0)
        self.costs["progress"] = self._meter.of(lambda: self._post(requests[50:], 0), len(requests) - 50)
        self._crowd.leave(1)
        states = f"{self._cluster.prefix}:state:"
        # Of each table there are three keys; an owner has so many videos here.
        for_admins = self._meter.key_bytes(f"{states}{{c}}:*") * 3 / len(requests)
        for_owner = self._meter.key_bytes(f"{states}{{[0-9]}}:*") * 3 / max(len(requests) / users, 1)
        self.memory["redis_state"] = for_admins + for_owner

    def _leave(self) -> None:
        count = self._options.clients

        def leave() -> None:
            self._crowd.leave(count)
            self._crowd.rest(2)

        self.costs["leave"] = self._meter.of(leave, count)


async def measure_one(options: argparse.Namespace) -> OneNode:
    async with stage(persistent=False, HEARTBEAT_TIMEOUT="3600", COMMANDS_PER_SECOND="1000") as cluster:
        with Crowd([cluster.node.port], Requests(cluster).dialect) as crowd:
            one = OneNode(cluster, crowd, options)
            one.run()
            return one


async def measure_more(options: argparse.Namespace) -> tuple[Reading, Reading]:
    """Return an idle second and a broadcast of a cluster of several nodes with next to no clients."""
    async with stage(nodes=_MORE_NODES, persistent=False, HEARTBEAT_TIMEOUT="3600") as cluster:
        ask, meter = Requests(cluster), Meter(cluster)
        with Crowd([node.port for node in cluster.nodes], ask.dialect) as crowd:
            crowd.connect(range(_MORE_NODES))

            def post(count: int) -> None:
                crowd.reset()
                requests = [ask.broadcast(keyed=True) for _ in range(count)]
                port = cluster.router.port
                crowd.publish(requests, port=port, connections=1, expected=count * _MORE_NODES)

            post(20)
            crowd.rest(1)
            idle = meter.rest(crowd.rest, options.rest)
            return idle, meter.of(lambda: post(200), 200)


def best(readings: Sequence[Reading]) -> Reading:
    """Return of CPU the least, for whatever else runs on the machine only adds to it, and of counts the median."""
    cpu = {name: min(getattr(each, name) for each in readings) for name in ("nodes", "routers", "redis")}
    counts = ("commands", "received", "sent", "memory")
    return Reading(**cpu, **{name: statistics.median(getattr(each, name) for each in readings) for name in counts})


def combine(costs: dict[str, Reading], idle: Reading, broadcast: Reading, clients: int) -> dict[str, Reading]:
    """Return the costs of one of everything; what a further node or delivery adds is told apart from the first."""
    node = (idle - costs["idle"]) / (_MORE_NODES - 1)
    delivery = (costs["broadcast to all"] - costs["broadcast"]) / clients
    # Each further node brings its one client too: what the delivery to it costs is told already.
    broadcast_node = (broadcast - costs["broadcast"]) / (_MORE_NODES - 1) - delivery
    derived = {
        "compare": (costs["crowded"] - costs["idle"]) * _COMPARED_EVERY / clients,
        "idle node": node,
        "cluster": costs["idle"] - node,
        "delivery": delivery,
        "broadcast node": broadcast_node,
        "broadcast": costs["broadcast"] - broadcast_node - delivery,
    }
    return {name: cost for name, cost in costs.items() if name not in _RAW} | derived


def as_json(cost: Reading) -> dict[str, float]:
    names = {"node": "nodes", "router": "routers", **{name: name for name in ("redis", "commands", "received", "sent")}}
    return {name: _rounded(max(getattr(cost, attribute), 0)) for name, attribute in names.items()}


async def run(options: argparse.Namespace) -> dict[str, Any]:
    ones, idles, broadcasts = [], [], []
    for _ in range(options.rounds):
        ones.append(await measure_one(options))
        idle, broadcast = await measure_more(options)
        idles.append(idle)
        broadcasts.append(broadcast)
    costs = {name: best([one.costs[name] for one in ones]) for name in ones[0].costs}
    combined = combine(costs, best(idles), best(broadcasts), options.clients)
    memory = {name: _rounded(statistics.median(one.memory[name] for one in ones)) for name in ones[0].memory}
    return {
        "measured": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": f".venv/bin/python -m loadtests.unit_costs --clients {options.clients} --rounds {options.rounds}",
        "conditions": f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}",
        "message_bytes": len(json.dumps(MESSAGE)),
        "costs": {name: as_json(cost) for name, cost in sorted(combined.items())},
        "memory": memory,
    }


def _rounded(value: float) -> float:
    """Return three digits of it: more was not measured."""
    if value == 0:
        return 0.0
    return round(value, 2 - math.floor(math.log10(abs(value))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=3000)
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--rest", type=float, default=20, help="s in which nothing happens; a multiple of ten")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help=f"to {FILE.name}, where the command line finds them")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    text = json.dumps(asyncio.run(run(options)), indent=2) + "\n"
    print(text)
    if options.write:
        FILE.write_text(text)


if __name__ == "__main__":
    main()
