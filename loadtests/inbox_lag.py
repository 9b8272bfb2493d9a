"""How far the inbox is behind at a steady rate, and what archiving costs router and Redis.

    .venv/bin/python -m loadtests.inbox_lag [sqlite | off | postgresql | postgresql://user@host/database]
        [--rate 2000] [--seconds 20]

One router on core 0 takes batches of 50 for 1,000 users; nobody is connected. The lag is how old the newest event in
the database is, looked at fifty times a second while publishing goes on. With `off` there
is only the cost, to compare with.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import time

from sqlalchemy import func, select

from loadtests.batches import cpu_seconds
from loadtests.databases import HELP, database_url
from loadtests.stage import stage
from shared.database import Database
from shared.inbox_tables import Notification
from shared.schema import migrate
from tests.support.cluster import Cluster

BATCH = 50
_WARM_UP = 3.0  # s; the first statements are compiled, and connections made
TEXT = "Order 10482 was handed to the courier and will arrive tomorrow between 10:00 and 14:00. " * 2


def batch() -> str:
    items = [
        {"audience": {"users": [random.randrange(1000)]}, "message": {"type": "order_status_changed", "body": TEXT}}
        for _ in range(BATCH)
    ]
    return json.dumps({"items": items})


async def publish(cluster: Cluster, rate: float, seconds: float) -> int:
    """Publish in time with the clock; return how many were accepted."""
    headers = {"Authorization": f"Bearer {cluster.api_key}"}
    started, sent = time.monotonic(), 0
    async with cluster.router.http(timeout=30) as http, asyncio.TaskGroup() as calls:

        async def call() -> None:
            answer = await http.post("/api/v1/messages/batch", content=batch(), headers=headers)
            assert all(result["status"] == 202 for result in answer.json()["results"])

        while sent < rate * seconds:
            calls.create_task(call())
            sent += BATCH
            await asyncio.sleep(max(0.0, started + sent / rate - time.monotonic()))
    return sent


async def look(database: Database, lags: list[float]) -> None:
    newest = select(func.max(Notification.published_at))
    while True:
        async with database.reading() as connection:
            published = (await connection.execute(newest)).scalar()
        if published is not None:
            lags.append(time.time() - published / 1e6)
        await asyncio.sleep(0.02)


async def measure(cluster: Cluster, database: Database | None, options: argparse.Namespace) -> None:
    warming_up = await publish(cluster, options.rate, _WARM_UP)
    await asyncio.sleep(1)
    lags: list[float] = []
    looking = asyncio.create_task(look(database, lags)) if database is not None else None
    pids = {"router": cluster.router.pid, "redis": cluster.redis.pid}
    before = cpu_seconds(pids)
    sent = await publish(cluster, options.rate, options.seconds)
    if looking is not None:
        looking.cancel()
    await asyncio.sleep(1)
    used = {name: seconds - before[name] for name, seconds in cpu_seconds(pids).items()}
    print(", ".join(f"{name} {seconds / sent * 1e6:.1f} µs" for name, seconds in used.items()), "per event")
    if database is not None:
        async with database.reading() as connection:
            there = (await connection.execute(select(func.count()).select_from(Notification))).scalar()
        ordered = sorted(lags)
        median, slow, most = statistics.median(ordered), ordered[int(len(ordered) * 0.99)], ordered[-1]
        print(f"published {warming_up + sent} at {options.rate}/s; in the inbox {there}")
        print(f"lag: median {median * 1000:.0f} ms, 99 % {slow * 1000:.0f} ms, most {most * 1000:.0f} ms")


async def run(options: argparse.Namespace) -> None:
    if options.database == "off":
        async with stage(persistent=False, nodes=0) as cluster:
            await measure(cluster, None, options)
        return
    async with database_url(options.database) as url, Database(url, name="loadtest", timeout=30) as database:
        await migrate(database)
        async with stage(persistent=False, nodes=0, DATABASE_URL=url) as cluster:
            await measure(cluster, database, options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", nargs="?", default="sqlite", help=f"off; {HELP}")
    parser.add_argument("--rate", type=float, default=2000)
    parser.add_argument("--seconds", type=float, default=20)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
