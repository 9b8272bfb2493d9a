"""What tracing costs: CPU of router and node per personal message, with tracing off and at several ratios, in one run.

    .venv/bin/python loadtests/tracing_cost.py [--batch 1] [--messages 1500] [--rounds 8]

Every variant has a router and a node of its own in one cluster, on core 0; clients, publisher and the receiver of the
spans run on core 1. In each round every variant sends as many messages, in another order, so that what else the machine
does harms all alike. CPU is what the kernel accounts to all threads of the two processes, the exporter's among them,
from when the first message of a round is sent until its last is received and its spans are exported.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from loadtests.stage import SERVER_CORE, on_core, stage
from tests.support.client import dial
from tests.support.cluster import Cluster, Node, Router, Service
from tests.support.ports import LOOPBACK, free_port
from tests.support.process import Process

TEXT = "Order 10482 was handed to the courier and will arrive tomorrow between 10:00 and 14:00. " * 2
EXPORT_DELAY = 1.0  # s
VARIANTS = {"off": None, "0 %": "0", "1 %": "0.01", "100 %": "1"}
PUBLISHERS = 8


@dataclass
class Variant:
    name: str
    router: Router
    node: Node
    user: int
    received: int = 0
    costs: list[float] = field(default_factory=list)  # µs per message, by round

    def cpu(self) -> float:
        return cpu_seconds(self.router.pid) + cpu_seconds(self.node.pid)


def cpu_seconds(pid: int) -> float:
    """Return the time all threads of a process have run so far: precise, where /proc/<pid>/stat counts in 10 ms."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


@asynccontextmanager
async def receiver(directory: Path) -> AsyncIterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "videosite_realtime_cli.traces.receiver", str(port)]
    process = Process("receiver", command, {}, directory / "receiver.log")
    process.launch()
    try:
        yield f"http://{LOOPBACK}:{port}"
    finally:
        await process.end()


async def start(service: Service) -> None:
    """Start a node or a router on the servers' core; however long that takes beside whatever else runs there."""
    with on_core(SERVER_CORE):
        service.launch()
    await service.ready(timeout=120)


async def start_variants(cluster: Cluster, url: str) -> list[Variant]:
    variants = []
    for number, (name, ratio) in enumerate(VARIANTS.items()):
        env = (
            {}
            if ratio is None
            else {
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{url}/v1/traces",
                "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
                "OTEL_TRACES_SAMPLER_ARG": ratio,
                "OTEL_BSP_SCHEDULE_DELAY": str(int(EXPORT_DELAY * 1000)),
            }
        )
        router, node = cluster.add_router(**env), cluster.add_node(**env)
        await start(router)
        await start(node)
        variants.append(Variant(name, router, node, 1000 + number))
    return variants


async def one_round(variant: Variant, http: httpx.AsyncClient, api_key: str, options: argparse.Namespace) -> None:
    rest = iter(range(options.messages // options.batch))
    item = {"audience": {"users": [variant.user]}, "message": {"type": "order_status_changed", "body": TEXT}}
    path, body = ("messages", item) if options.batch == 1 else ("messages/batch", {"items": [item] * options.batch})
    content, headers = json.dumps(body), {"Authorization": f"Bearer {api_key}"}
    url = f"{variant.router.url}/api/v1/{path}"
    wanted = variant.received + options.messages // options.batch * options.batch

    async def publish() -> None:
        for _ in rest:
            answer = await http.post(url, content=content, headers=headers)
            assert answer.status_code in (200, 202), answer.text

    before = variant.cpu()
    await asyncio.gather(*(publish() for _ in range(PUBLISHERS)))
    async with asyncio.timeout(60):
        while variant.received < wanted:
            await asyncio.sleep(0.005)
    await asyncio.sleep(1.2 * EXPORT_DELAY)  # the same for all: what a process does by itself is in it
    variant.costs.append((variant.cpu() - before) / options.messages * 1e6)


async def listen(variant: Variant, cluster: Cluster, connected: asyncio.Event) -> None:
    async with dial(variant.node.socket_url(token=cluster.tokens.user(variant.user))) as client:
        await client.recv()
        connected.set()
        async for _ in client:
            variant.received += 1
    raise RuntimeError(f"{variant.node.name} has closed its client: {client.close_code}")


async def run(options: argparse.Namespace) -> None:
    async with AsyncExitStack() as stack:
        # Its clients say nothing, for as long as it takes.
        settings = {"HEARTBEAT_TIMEOUT": "86400", "HEARTBEAT_INTERVAL": "3600"}
        cluster = await stack.enter_async_context(stage(nodes=0, routers=0, persistent=False, **settings))
        url = await stack.enter_async_context(receiver(cluster.directory))
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=60, trust_env=False))
        variants = await start_variants(cluster, url)
        tasks = []
        for variant in variants:
            connected = asyncio.Event()
            tasks.append(asyncio.create_task(listen(variant, cluster, connected)))
            await connected.wait()
        for number in range(options.rounds + 1):
            for variant in random.sample(variants, len(variants)):
                await one_round(variant, http, cluster.api_key, options)
                if number == 0:
                    variant.costs.clear()  # warming up
        for task in tasks:
            task.cancel()
        report(variants, options)


def report(variants: list[Variant], options: argparse.Namespace) -> None:
    off = variants[0].costs
    print(f"router and node, µs per message in calls of {options.batch}; median of {options.rounds} rounds")
    for variant in variants:
        more = statistics.median(cost - base for cost, base in zip(variant.costs, off, strict=True))
        print(f"  {variant.name:>6}  {statistics.median(variant.costs):7.1f}  {more:+7.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=1, help="messages per call")
    parser.add_argument("--messages", type=int, default=1500, help="per variant and round")
    parser.add_argument("--rounds", type=int, default=8)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
