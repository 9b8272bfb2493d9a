"""What a message by way of the queue costs: CPU of the router and of Redis, and how many a second one router publishes.

    .venv/bin/python -m loadtests.queue_cost [--messages 20000] [--users 500]

A cluster of its own: one router, one node, the bundled Valkey without files. Messages of some 100 bytes to single
users, nobody connected, each under a key, are appended while the router is paused; then it is let go.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path

import redis.asyncio as redis

from loadtests.batches import cpu_seconds
from shared.keys import Keys
from tests.support.cluster import Cluster
from tests.support.redis_server import RedisServer

TEXT = "Your order has left our warehouse."


async def append(client: redis.Redis, key: str, messages: int, users: int) -> None:
    for begin in range(0, messages, 1000):
        pipeline = client.pipeline(transaction=False)
        for number in range(begin, min(begin + 1000, messages)):
            message = {"type": "order_sent", "order": number, "text": TEXT}
            body = json.dumps({"audience": {"users": [number % users]}, "message": message})
            pipeline.xadd(key, {"kind": "messages", "body": body, "key": f"order-{number}"})
        await pipeline.execute()


async def measure(messages: int, users: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        server = RedisServer(Path(scratch) / "redis", persistent=False)
        cluster = Cluster(server, Path(scratch), LOG_LEVEL="WARNING", QUEUE_MAX_LENGTH=str(2 * messages))
        try:
            await server.start()
            await cluster.start()
            async with redis.Redis.from_url(server.url) as client:
                key = Keys(cluster.prefix).queue
                cluster.router.pause()
                await append(client, key, messages, users)
                pids = {"router": cluster.router.pid, "redis": server.pid}
                before = cpu_seconds(pids)
                began = time.monotonic()
                cluster.router.resume()
                while await client.xlen(key):
                    await asyncio.sleep(0.05)
                seconds = time.monotonic() - began
                after = cpu_seconds(pids)
                router, server_cpu = after["router"] - before["router"], after["redis"] - before["redis"]
        finally:
            await cluster.close()
            await server.end()
    print(f"{messages / seconds:,.0f} messages/s; CPU per message: router {router / messages * 1e6:.0f} µs, "
          f"Redis {server_cpu / messages * 1e6:.0f} µs")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--users", type=int, default=500)
    options = parser.parse_args()
    asyncio.run(measure(options.messages, options.users))


if __name__ == "__main__":
    main()
