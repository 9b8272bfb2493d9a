"""Where the time of a personal message goes: p50 and p99 of every hop at a steady rate, from the spans themselves.

    .venv/bin/python loadtests/latency_by_hop.py [--rate 500] [--seconds 20] [--users 200] [--sampled 0.1]

The SDK sends at the given rate whatever comes back (open loop), to users at random on two nodes. One router, two nodes
and Redis (every write on disk) run on core 0; the producer, its SDK, the users and the receiver of the spans on core 1.
The part that is sampled pays for its spans, the rest does not: with ``--sampled 1`` all of them pay.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from rich.console import Console
from videosite_realtime import NotificationService
from videosite_realtime_cli.commands.trace import hop_table
from videosite_realtime_cli.traces.archive import Archive
from videosite_realtime_cli.traces.hops import journeys
from videosite_realtime_cli.traces.receiver import LIMIT_MAX

from loadtests.stage import stage
from loadtests.tracing_cost import receiver, start
from tests.support.client import dial
from tests.support.cluster import Cluster


def export_to(url: str, ratio: float) -> TracerProvider:
    provider = TracerProvider(ParentBasedTraceIdRatio(ratio), Resource({"service.name": "producer"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces")))
    trace.set_tracer_provider(provider)
    return provider


async def listen(cluster: Cluster, user: int, connected: asyncio.Event) -> None:
    node = cluster.nodes[user % len(cluster.nodes)]
    async with dial(node.socket_url(token=cluster.tokens.user(user))) as client:
        await client.recv()
        connected.set()
        async for _ in client:
            pass


async def produce(service: NotificationService, options: argparse.Namespace) -> float:
    """Send at the rate, and return the rate that came of it."""
    count, begun = int(options.rate * options.seconds), time.monotonic()
    async with asyncio.TaskGroup() as calls:
        for number in range(count):
            await asyncio.sleep(max(0.0, begun + number / options.rate - time.monotonic()))
            user = random.randrange(options.users)
            calls.create_task(service.send_personal_message({"type": "order_status_changed", "body": "x" * 200}, user))
    return count / (time.monotonic() - begun)


async def run(options: argparse.Namespace) -> None:
    async with stage(nodes=0, routers=0, HEARTBEAT_TIMEOUT="86400") as cluster, receiver(cluster.directory) as url:
        env = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{url}/v1/traces",
            "OTEL_TRACES_SAMPLER": "parentbased_always_off",
        }
        for service in [cluster.add_router(**env), cluster.add_node(**env), cluster.add_node(**env)]:
            await start(service)
        provider = export_to(url, options.sampled)
        async with asyncio.TaskGroup() as users, NotificationService(cluster.router.url, cluster.api_key) as service:
            listening = []
            for user in range(options.users):
                connected = asyncio.Event()
                listening.append(users.create_task(listen(cluster, user, connected)))
                await connected.wait()
            await produce(service, argparse.Namespace(**{**vars(options), "seconds": 2}))
            warm = time.time_ns()
            rate = await produce(service, options)
            provider.force_flush()
            await asyncio.sleep(6)  # the services export every 5 s
            for task in listening:
                task.cancel()
        with Archive(url) as archive:
            found = [trace for trace in archive.newest(LIMIT_MAX) if min(s.start_ns for s in trace) > warm]
        hops = [journey for trace in found for journey in journeys(trace) if "call" in journey]
        print(f"{rate:.0f} messages/s, {options.sampled:.0%} sampled, {len(hops)} traces")
        Console(width=80).print(hop_table(hops))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=500, help="messages per second")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--sampled", type=float, default=0.1)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
