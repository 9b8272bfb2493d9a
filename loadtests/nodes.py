"""What a message costs in clusters of 1, 2, 4 and 8 nodes: to one user the same, to everybody more with every node.

    .venv/bin/python -m loadtests.nodes [--nodes 1 2 4 8] [--clients 800] [--messages 3000] [--rounds 3]

All parts of a cluster run on core 0, clients and publishers on core 1. Clients are dealt out evenly; each message to a
user goes to the one node that holds it. Messages are published one after another: published side by side they would
come to one node by several at a time, to eight one by one, and the difference would be the bunching's and not the
nodes'. For the same reason there is a row of messages to users who are all on the first node: to wake another process
for each message, on one core, costs caches that nodes with cores of their own do not share. Rounds go over all sizes,
forwards and backwards by turns, and the medians are printed, so that what else goes on on the machine meets all sizes
alike. What an idle cluster of that size uses is measured before each figure, printed, and taken off.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
from collections import defaultdict
from collections.abc import Sequence

from loadtests.bench.crowd import Crowd
from loadtests.bench.meter import Meter, Reading
from loadtests.bench.ours import Requests
from loadtests.stage import stage
from tests.support.cluster import Cluster

Runs = dict[int, list[Reading]]


class Rounds:
    """Attributes:
    idle: a second in which nothing happens; the others: one message; each by number of nodes.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._options, self._dice = options, random.Random(options.seed)
        self.idle: Runs = defaultdict(list)
        self.personal: Runs = defaultdict(list)
        self.first_node: Runs = defaultdict(list)
        self.broadcast: Runs = defaultdict(list)

    async def run(self, nodes: int) -> None:
        async with stage(nodes=nodes, persistent=False, HEARTBEAT_TIMEOUT="3600") as cluster:
            with Crowd([node.port for node in cluster.nodes], Requests(cluster).dialect) as crowd:
                self._measure(cluster, crowd, nodes)

    def _measure(self, cluster: Cluster, crowd: Crowd, nodes: int) -> None:
        clients, messages = self._options.clients, self._options.messages
        ask, port, meter = Requests(cluster), cluster.router.port, Meter(cluster)
        crowd.connect(range(clients))
        broadcasts = max(messages // 10, 20)

        def to_one(count: int, step: int = 1) -> None:
            # Clients are dealt out in turn: those of the first node are the multiples of the nodes.
            requests = [ask.personal(self._dice.randrange(0, clients, step)) for _ in range(count)]
            crowd.reset()
            crowd.publish(requests, port=port, connections=1, expected=count)

        def to_all(count: int) -> None:
            crowd.reset()
            crowd.publish((ask.broadcast(),) * count, port=port, connections=1, expected=count * clients)

        to_one(300)
        to_all(10)
        crowd.rest(1)
        self.idle[nodes].append(meter.rest(crowd.rest, self._options.rest))
        self.personal[nodes].append(meter.of(lambda: to_one(messages), messages))
        self.first_node[nodes].append(meter.of(lambda: to_one(messages, nodes), messages))
        self.broadcast[nodes].append(meter.of(lambda: to_all(broadcasts), broadcasts))
        meter.close()

    def show(self, sizes: Sequence[int]) -> None:
        _table("a message to one user", self.personal, sizes)
        _table("a message to one user, of those on the first node", self.first_node, sizes)
        _table(f"a message to all {self._options.clients} clients", self.broadcast, sizes)
        _table("a second in which nothing happens", self.idle, sizes)


def _table(title: str, runs: Runs, sizes: Sequence[int]) -> None:
    columns = ("redis", "routers", "nodes", "commands", "received", "sent")
    print(f"\n{title}\n\n| nodes | Redis µs | router µs | all nodes µs | together µs | commands | Redis in B | out B |")
    print("|---" * (len(columns) + 2) + "|")
    for size in sizes:
        median = {name: statistics.median(getattr(run, name) for run in runs[size]) for name in columns}
        together = median["redis"] + median["routers"] + median["nodes"]
        cells = [median["redis"], median["routers"], median["nodes"], together, *(median[name] for name in columns[3:])]
        print(f"| {size} | " + " | ".join(f"{cell:,.1f}" for cell in cells) + " |", flush=True)


async def run(options: argparse.Namespace) -> None:
    rounds = Rounds(options)
    for turn in range(options.rounds):
        for nodes in options.nodes if turn % 2 == 0 else reversed(options.nodes):
            await rounds.run(nodes)
    print(f"{options.rounds} rounds, load average {os.getloadavg()[0]:.1f}")
    rounds.show(options.nodes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--clients", type=int, default=800)
    parser.add_argument("--messages", type=int, default=3000, help="to one user; a tenth as many to all")
    parser.add_argument("--rest", type=float, default=5, help="s in which nothing happens")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
