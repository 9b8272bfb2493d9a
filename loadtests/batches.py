"""What a personal message costs in batches: CPU of router, Redis and node together, per message.

    .venv/bin/python loadtests/batches.py [--batch 100] [--batches 200] [--users 1000] [--publishers 16]

Servers run on core 0, clients and publisher on core 1. Every message is received and counted; the figure is user and
system time of the three server processes from /proc, divided by the messages received. Redis keeps no file;
`TEST_REDIS=redis-server` takes that one instead of the bundled Valkey.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import time
from pathlib import Path

from loadtests.stage import stage
from tests.support.client import dial
from tests.support.cluster import Cluster

TEXT = "Order 10482 was handed to the courier and will arrive tomorrow between 10:00 and 14:00. " * 2


def cpu_seconds(pids: dict[str, int]) -> dict[str, float]:
    tick = os.sysconf("SC_CLK_TCK")
    fields = {name: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for name, pid in pids.items()}
    return {name: (int(f[11]) + int(f[12])) / tick for name, f in fields.items()}


async def measure(cluster: Cluster, options: argparse.Namespace) -> None:
    pids = {"redis": cluster.redis.pid, "node": cluster.node.pid, "router": cluster.router.pid}
    total = options.batch * options.batches
    received = 0
    all_received = asyncio.Event()

    async def listen(user: int, connected: asyncio.Event) -> None:
        nonlocal received
        async with dial(cluster.node.socket_url(token=cluster.tokens.user(user))) as client:
            await client.recv()
            connected.set()
            async for _ in client:
                received += 1
                if received == total:
                    all_received.set()

    async with asyncio.TaskGroup() as clients, cluster.router.http(timeout=30) as http:
        tasks = []
        for user in range(options.users):
            connected = asyncio.Event()
            tasks.append(clients.create_task(listen(user, connected)))
            await connected.wait()
        headers = {"Authorization": f"Bearer {cluster.api_key}"}
        before, started = cpu_seconds(pids), time.monotonic()
        rest = iter(range(options.batches))

        async def publish() -> None:
            for _ in rest:
                body = {"items": [_item(random.randrange(options.users)) for _ in range(options.batch)]}
                answer = await http.post("/api/v1/messages/batch", content=json.dumps(body), headers=headers)
                assert all(result["status"] == 202 for result in answer.json()["results"]), answer.text[:500]

        await asyncio.gather(*(publish() for _ in range(options.publishers)))
        await asyncio.wait_for(all_received.wait(), 20)
        seconds, after = time.monotonic() - started, cpu_seconds(pids)
        for task in tasks:
            task.cancel()
    each = {name: (after[name] - before[name]) / received * 1e6 for name in pids}
    parts = ", ".join(f"{name} {cost:.1f}" for name, cost in each.items())
    print(f"batches of {options.batch}: {sum(each.values()):.1f} µs per message ({parts})")
    print(f"received {received} of {total}, {received / seconds:.0f} messages/s")


def _item(user: int) -> dict[str, object]:
    return {
        "audience": {"users": [user]},
        "message": {"type": "order_status_changed", "title": "On its way", "body": TEXT},
    }


async def run(options: argparse.Namespace) -> None:
    async with stage(persistent=False) as cluster:
        await measure(cluster, options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--publishers", type=int, default=16)
    options = parser.parse_args()
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
