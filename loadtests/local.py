"""A load test against a cluster of its own on this machine, which it starts, and restarts when the shape asks for it.

    .venv/bin/python -m loadtests.local [--nodes 2] [--routers 1] [--drain 2] [--heartbeat 5] [-- LOCUST'S OPTIONS]
    .venv/bin/python -m loadtests.local --nodes 3 -- -u 500 -r 100 -t 60s --shape restart --html report.html --csv load

Redis is the bundled Valkey, without files. Addresses and secrets reach Locust by its environment. SIGUSR1 restarts all
nodes, one after another, as a rolling update would; the exit status is Locust's.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path

from tests.support.cluster import Cluster
from tests.support.redis_server import RedisServer

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
_LEAVING = 60.0  # s


class Restarts:
    """Restarts nodes when told to; who asks while one is under way has asked in vain."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._running: asyncio.Task[None] | None = None

    def begin(self) -> None:
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._all())

    async def _all(self) -> None:
        for node in self._cluster.nodes:
            status = await node.terminate(timeout=_LEAVING)
            node.launch()
            await node.ready()
            print(f"{node.name} left with status {status} and is back", file=sys.stderr, flush=True)

    async def finish(self) -> None:
        if self._running is not None:
            await self._running


def command(options: argparse.Namespace) -> list[str]:
    begin_restart = f"kill -USR1 {os.getpid()}"
    locust = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--restart-command", begin_restart]
    return [*locust, *options.locust]


def environment(cluster: Cluster) -> dict[str, str]:
    return {
        **os.environ,
        "NODE_URL": ",".join(node.url for node in cluster.nodes),
        "ROUTER_URL": cluster.router.url,
        "ROUTER_API_KEY": cluster.api_key,
        "JWT_SECRET": cluster.tokens.secret,
    }


async def run(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        redis = RedisServer(Path(scratch) / "redis", persistent=False)
        settings = {"DRAIN_SECONDS": str(options.drain), "HEARTBEAT_INTERVAL": str(options.heartbeat)}
        cluster = Cluster(redis, Path(scratch), LOG_LEVEL="WARNING", **settings)
        try:
            await redis.start()
            await cluster.start(nodes=options.nodes, routers=options.routers)
            return await _locust(cluster, options)
        finally:
            await cluster.close()
            await redis.end()


async def _locust(cluster: Cluster, options: argparse.Namespace) -> int:
    restarts = Restarts(cluster)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, restarts.begin)
    locust = await asyncio.create_subprocess_exec(*command(options), env=environment(cluster))
    for number in (signal.SIGINT, signal.SIGTERM):  # it ends in order, and we after it
        loop.add_signal_handler(number, lambda number=number: locust.send_signal(number))
    status = await locust.wait()
    await restarts.finish()
    return status


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--routers", type=int, default=1)
    parser.add_argument("--drain", type=float, default=2, help="s in which a node sends its clients away")
    parser.add_argument("--heartbeat", type=float, default=5, help="s between two pings of a client")
    parser.add_argument("locust", nargs="*", help="after --: options of Locust and of the locustfile")
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
