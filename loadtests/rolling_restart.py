"""How clients come back while every node is restarted, one after another, under traffic of all kinds.

    .venv/bin/python loadtests/rolling_restart.py [--clients 1500] [--nodes 3] [--drain 5] [--pause 0.3]

Redis, nodes and routers run on core 0, clients and publishers on core 1. Clients reconnect with `since` to any node
that listens, after the time that they were told. Printed are the connections made per 250 ms from each SIGTERM on. Of
all that was answered 202 every id is compared at every client: lost, doubled or out of order ends it with a report.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter

from loadtests.stage import SERVER_CORE, on_core, stage
from tests.support.cluster import Node
from tests.support.follower import Follower, followers
from tests.support.traffic import Traffic, assert_nothing_lost_or_doubled

STEP = 0.25  # s
BAR = 60  # characters


async def restart(node: Node, clients: list[Follower]) -> None:
    """Restart a node and print how its clients came back."""
    asked_at = time.monotonic()
    status = await node.terminate(timeout=60)
    left_after = time.monotonic() - asked_at
    with on_core(SERVER_CORE):
        node.launch()
    await node.ready()
    while any(not client.is_connected for client in clients):
        await asyncio.sleep(0.1)
    returns = [at - asked_at for client in clients for at in client.returns if at > asked_at]
    per_step = Counter(int(after / STEP) for after in returns)
    fullest = max(per_step.values())
    print(
        f"\n{node.name}: {len(returns)} clients sent away; left after {left_after:.1f} s with status {status}; ", end=""
    )
    print(f"fullest {STEP * 1000:.0f} ms: {fullest} ({fullest / len(returns):.1%})")
    for step in range(max(per_step) + 1):
        count = per_step[step]
        print(f"{step * STEP:6.2f} s {count:5} {'█' * round(count / fullest * BAR)}")


async def measure(options: argparse.Namespace) -> None:
    async with stage(nodes=options.nodes, routers=2, DRAIN_SECONDS=str(options.drain)) as cluster:
        admins = options.clients // 20
        users = options.clients - admins
        async with followers(cluster, users=users, admins=admins) as clients:
            traffic = Traffic(cluster, [f"u{index}" for index in range(users)], pause=options.pause)
            async with traffic.flowing():
                for node in cluster.nodes:
                    await traffic.more(10)
                    await restart(node, clients)
                await traffic.more(10)
            await assert_nothing_lost_or_doubled(traffic, clients)
    deliveries = sum(len(ids) for client in clients for ids in client.ids.values())
    print(f"\n{traffic.accepted} messages answered 202, {deliveries} deliveries of events to {len(clients)} clients")
    print("lost 0, doubled 0, out of order 0, told of a gap 0")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=1500)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--drain", type=float, default=5)
    parser.add_argument("--pause", type=float, default=0.3, help="s between two messages of each of three publishers")
    options = parser.parse_args()
    asyncio.run(measure(options))


if __name__ == "__main__":
    main()
