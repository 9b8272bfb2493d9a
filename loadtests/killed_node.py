"""How long it takes until a killed node is forgotten, and until its clients are back and have all they missed.

    .venv/bin/python loadtests/killed_node.py [--clients 5000] [--back-off 3]

All clients are on one of three nodes; it is killed with SIGKILL under traffic, and never comes back. They reconnect to
the other two with `since`, after a jittered back-off of up to so many seconds, as the hook of the admin page does.
Servers run on core 0, clients on core 1: with thousands of clients in one process it is they who are slow. Printed are
the times from the kill, and what was lost or doubled.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time

from loadtests.stage import stage
from tests.support import follower
from tests.support.cluster import Cluster, Node
from tests.support.follower import followers
from tests.support.registry import Registry
from tests.support.traffic import Traffic, assert_nothing_lost_or_doubled


async def forgotten(cluster: Cluster, node_id: str) -> float:
    """Return when the registry no longer names a node."""
    async with Registry.of(cluster) as registry:
        while node_id in await registry.node_ids():
            await asyncio.sleep(0.25)
    return time.monotonic()


async def measure(options: argparse.Namespace) -> None:
    async with stage(nodes=3, routers=2) as cluster:
        killed, *others = cluster.nodes
        choose = _Choice(killed)
        async with followers(cluster, users=options.clients, admins=0, choose=choose) as clients:
            (node,) = [n for n in (await cluster.router.read("nodes"))["nodes"] if n["name"] == killed.name]
            traffic = Traffic(cluster, [f"u{index}" for index in range(options.clients)], pause=0.2)
            async with traffic.flowing():
                await traffic.more(10)
                choose.nodes = others
                killed_at = time.monotonic()
                await killed.kill()
                forgetting = asyncio.create_task(forgotten(cluster, node["node_id"]))
                while any(not client.is_connected for client in clients):
                    await asyncio.sleep(0.1)
            await assert_nothing_lost_or_doubled(traffic, clients)
            caught_up_at = time.monotonic()
            clean_at = await forgetting
            counted = (await cluster.router.read("stats"))["total_user_connections"]
        returns = sorted(at - killed_at for client in clients for at in client.returns[1:])
    print(f"registry clean after {clean_at - killed_at:.1f} s; {counted} of {len(clients)} connections counted")
    half, most, last = (returns[int(len(returns) * share)] for share in (0.5, 0.99, 0.9999))
    print(f"back: half after {half:.1f} s, 99 % after {most:.1f} s, the last after {last:.1f} s")
    print(f"all had everything after {caught_up_at - killed_at:.1f} s at the latest; lost 0, doubled 0, out of order 0")


class _Choice:
    """Where a load balancer sends who connects."""

    def __init__(self, *nodes: Node) -> None:
        self.nodes: list[Node] = list(nodes)

    def __call__(self) -> Node:
        return random.choice(self.nodes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=5000)
    parser.add_argument("--back-off", type=float, default=3)
    options = parser.parse_args()
    follower._BACK_OFF = (0.05, options.back_off)
    asyncio.run(measure(options))


if __name__ == "__main__":
    main()
