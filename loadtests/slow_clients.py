"""What clients that stop reading cost a node, and the others.

    .venv/bin/python loadtests/slow_clients.py [--slow 500] [--readers 20] [--rate 1000] [--seconds 10]

In one run: readers alone; beside them clients that stop reading; then half of those read again, and the others are
cut off and come back with `since`; readers alone again. Broadcasts of 1 KiB pass all the while, a twentieth as many
while the slow ones catch up: that is what all can take, and what they are behind keeps the clients' core busy. Redis,
node and router run on core 0, clients and publisher on core 1. Latency is from the publisher's call to a reader, on one
clock; memory is the node's Pss, and the kernel's for all TCP sockets of the host. Every slow client must have
everything at the end, in order and once, or this fails.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import time
from pathlib import Path
from typing import Any

import httpx

from loadtests.stage import stage
from tests.support.client import dial
from tests.support.cluster import Cluster
from tests.support.slow_client import SlowClient, pss_kib

BATCHES = 50  # per second
PADDING = "x" * 900
_SENT_AT = re.compile(r'"sent":(\d+)')


def kernel_kib() -> int:
    """Return what the kernel holds for all TCP sockets."""
    pages = int(re.search(r"^TCP: .* mem (\d+)", Path("/proc/net/sockstat").read_text(), re.MULTILINE)[1])  # type: ignore[index]
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


class Run:
    def __init__(self, cluster: Cluster, options: argparse.Namespace) -> None:
        self.cluster, self.options = cluster, options
        self.rate = options.rate
        self.latencies: list[float] = []
        self.sent = 0
        self.last: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._stopping = False

    async def reader(self, number: int, ready: asyncio.Event) -> None:
        url = self.cluster.node.socket_url(token=self.cluster.tokens.user(f"reader-{number}"))
        async with dial(url) as client:
            await client.recv()
            ready.set()
            async for text in client:
                sent_at = int(_SENT_AT.search(text)[1])  # type: ignore[arg-type,index]
                self.latencies.append((time.monotonic_ns() - sent_at) / 1e6)

    async def publish(self) -> None:
        """Publish at a steady rate; the last one's position is the result of ``last``."""
        router = self.cluster.router
        headers = {"Authorization": f"Bearer {self.cluster.api_key}"}
        answer: Any = None
        async with router.http() as http:
            due = time.monotonic()
            while not self._stopping:
                if self.rate:
                    answer = await self._batch(http, headers, max(self.rate // BATCHES, 1))
                due = max(due + 1 / BATCHES, time.monotonic() - 1)
                await asyncio.sleep(max(due - time.monotonic(), 0))
            self.last.set_result(int(answer[-1]["id"].rpartition("-")[2]))
            await self._batch(http, headers, 1)  # wakes those who have it already

    async def _batch(self, http: httpx.AsyncClient, headers: dict[str, str], size: int) -> Any:
        message = {"type": "event", "sent": time.monotonic_ns(), "padding": PADDING}
        body = {"items": [{"audience": "all", "message": message}] * size}
        answer = await http.post("/api/v1/messages/batch", json=body, headers=headers)
        results = answer.json()["results"]
        assert {result["status"] for result in results} == {202}, results
        self.sent += size
        return results

    def stop(self) -> None:
        self._stopping = True

    async def phase(self, name: str, seconds: float) -> None:
        self.latencies.clear()
        sent, began = self.sent, time.monotonic()
        await asyncio.sleep(seconds)
        self.show(name, (self.sent - sent) / (time.monotonic() - began))

    def show(self, name: str, rate: float) -> None:
        ordered = sorted(self.latencies)
        p50, p99, worst = (ordered[min(int(len(ordered) * q), len(ordered) - 1)] for q in (0.5, 0.99, 1))
        pss, kernel = pss_kib(self.cluster.node.pid) / 1024, kernel_kib() / 1024
        print(f"{name:44} {rate:7.0f} {p50:8.1f} {p99:8.1f} {worst:8.1f} {pss:9.1f} {kernel:9.1f}", flush=True)

    async def cut_off(self) -> int:
        metrics = (await self.cluster.node.health("/metrics")).text
        return int(float(re.search(r"^vsrt_node_stalled_clients_total (\S+)", metrics, re.MULTILINE)[1]))  # type: ignore[index]


async def catch_up(client: SlowClient, last: asyncio.Future[int]) -> None:
    """Read until the last event, once that is known; return early if cut off."""
    while not last.done() or client.numbers[-1] < last.result():
        if not await client.read_some():
            return


async def measure(run: Run) -> None:
    options = run.options
    async with asyncio.TaskGroup() as tasks:
        readers = []
        for number in range(options.readers):
            ready = asyncio.Event()
            readers.append(tasks.create_task(run.reader(number, ready)))
            await ready.wait()
        publisher = tasks.create_task(run.publish())
        print(f"{'':44} {'msg/s':>7} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'Pss MiB':>9} {'sockets':>9}")
        await run.phase("warming up", 3)
        await run.phase(f"{options.readers} readers alone", options.seconds)
        run.rate = 0
        await asyncio.sleep(1)
        before = pss_kib(run.cluster.node.pid)
        slow = [SlowClient(run.cluster, f"slow-{number}") for number in range(options.slow)]
        for client in slow:
            await client.connect()
        connected = pss_kib(run.cluster.node.pid)
        run.rate = options.rate
        await run.phase(f"… while {options.slow} stop reading", options.settle)
        await run.phase(f"… beside {options.slow} that read nothing", options.seconds)
        stalled = pss_kib(run.cluster.node.pid)
        run.rate //= 20
        half = slow[::2]
        reading = [tasks.create_task(catch_up(client, run.last)) for client in half]
        await run.phase(f"… while {len(half)} of them catch up", options.seconds)
        while await run.cut_off() < options.slow - len(half):
            await asyncio.sleep(0.2)
        await run.phase(f"… {options.slow - len(half)} have been cut off", 2)
        for client in slow[1::2]:
            await catch_up(client, run.last)  # what the kernel still had for it
            client.close()
            await client.connect()
            reading.append(tasks.create_task(catch_up(client, run.last)))
        await run.phase("… and come back with since", options.seconds)
        run.stop()
        await publisher
        await asyncio.wait_for(asyncio.gather(*reading), 300)
        for client in slow:
            client.close()
        again = Run(run.cluster, options)
        again.latencies = run.latencies
        publisher = tasks.create_task(again.publish())
        await again.phase(f"{options.readers} readers alone", options.seconds)
        again.stop()
        await publisher
        for task in readers:
            task.cancel()
    print(f"\nthe node grew by {(connected - before) / options.slow:.1f} KiB per client that connected,", end=" ")
    print(f"and by {(stalled - connected) / options.slow:.1f} KiB more per client that had stopped reading")
    wrong = sum(bool(client.gaps) or not client.has_all_it_was_not_told_of for client in slow)
    events = sum(len(client.numbers) - 1 for client in slow)
    print(f"the slow clients have had {events} events; {wrong} of {len(slow)} lost, doubled or swapped one")
    assert wrong == 0


async def start(options: argparse.Namespace) -> None:
    timeout = str(options.seconds * 2 + options.settle)
    env = {"HISTORY_LENGTH_SHARED": "200000", "SLOW_CLIENT_TIMEOUT": timeout, "HEARTBEAT_TIMEOUT": "3600"}
    async with stage(**env) as cluster:
        with contextlib.suppress(asyncio.CancelledError):
            await measure(Run(cluster, options))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slow", type=int, default=500)
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--settle", type=float, default=3, help="s for the clients to fill what they have")
    options = parser.parse_args()
    asyncio.run(start(options))


if __name__ == "__main__":
    main()
