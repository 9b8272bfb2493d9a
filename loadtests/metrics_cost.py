"""What measuring costs a node per message, and what a scrape costs it.

    .venv/bin/python loadtests/metrics_cost.py [--messages 500] [--rounds 300]
    .venv/bin/python loadtests/metrics_cost.py --connections 5000

The first hands publishes to a node's hub in this process, in turns with and without recording, the fewest microseconds
of each; sockets are none, so that what is compared is not drowned. OpenTelemetry's and prometheus_client's own
histograms stand beside it. The second starts a real node, connects clients, and scrapes it while messages go to one of
them: how long a scrape takes, and what it does to the messages beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from loadtests.stage import stage
from node.delivery_times import DeliveryTimes
from node.hub import Hub
from shared.ids import Position
from shared.server_clock import ServerClock
from shared.stats import Counters
from tests.support.client import dial
from tests.support.cluster import Cluster

PAYLOAD = b'{"type":"order_status_changed","title":"On its way","body":"%s"' % (b"x" * 170)


class NotRecording:
    def add(self, payload: bytes, published_at: bytes, written: int) -> None: ...


class Deaf:
    """A session that is live and writes nowhere."""

    live = True
    is_admin = False

    def write(self, frame: bytes) -> None: ...


async def per_message(messages: int, rounds: int) -> None:
    for sessions in (1, 100):
        hub, times = _hub(sessions), DeliveryTimes(ServerClock())
        feed: Any = hub.connections.feed_of(7)
        without, with_ = [], []
        position = 0
        for _ in range(rounds):
            for recorder, found in ((NotRecording(), without), (times, with_)):
                feed.times = recorder
                found.append(_hear(hub, position, messages))
                position += messages
        empty = min(_time(lambda: NotRecording().add(b"", b"", 0), messages) for _ in range(rounds))
        nothing = min(_time(NotRecording, messages) for _ in range(rounds))
        cost = min(with_) - min(without) + empty - nothing
        print(
            f"to {sessions} session(s): {min(without):.2f} µs per message without, {min(with_):.2f} µs with; "
            f"recording {cost:.2f} µs (medians {median(without):.2f} and {median(with_):.2f})"
        )


def _hub(sessions: int) -> Hub:
    nobody: Any = None
    hub = Hub(
        nobody,
        nobody,
        stats=Counters,
        changed=lambda _: None,
        missed=lambda: True,
        frame_max_bytes=4096,
        commands_per_second=20,
        state_ttl=3600,
        clock=ServerClock(),
    )
    feed = hub.connections._user_feed("7")
    for _ in range(sessions):
        session: Any = Deaf()
        feed.add(session)
    feed.open(Position(1, 0))
    return hub


def _hear(hub: Hub, position: int, messages: int) -> float:
    now = int(time.time() * 1e6)
    head = b"1 e %d u.Nw 1-%d %d 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00 - -\n%s"
    data = [head % (len(PAYLOAD), position + 1 + n, now, PAYLOAD) for n in range(messages)]
    began_at = time.perf_counter()
    for publish in data:
        hub.hear(publish)
    return (time.perf_counter() - began_at) / messages * 1e6


def _time(work: Callable[[], object], repetitions: int) -> float:
    began_at = time.perf_counter()
    for _ in range(repetitions):
        work()
    return (time.perf_counter() - began_at) / repetitions * 1e6


def libraries(repetitions: int) -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from prometheus_client import CollectorRegistry, Histogram

    labels = {"type": "custom", "audience": "user"}
    theirs = MeterProvider([InMemoryMetricReader()]).get_meter("cost").create_histogram("cost", unit="s")
    child = Histogram("cost", "cost", list(labels), registry=CollectorRegistry()).labels(**labels)
    times, now = DeliveryTimes(ServerClock()), str(int(time.time() * 1e6)).encode()
    for name, work in (
        ("node.delivery_times, type and time looked up", lambda: times.add(PAYLOAD, now, 1)),
        ("prometheus_client, labels kept, time known", lambda: child.observe(0.001)),
        ("OpenTelemetry's SDK, time known", lambda: theirs.record(0.001, labels)),
    ):
        print(f"{name}: {min(_time(work, repetitions) for _ in range(200)):.2f} µs")


async def scrapes(connections: int) -> None:
    async with stage(persistent=False) as cluster, asyncio.TaskGroup() as clients:
        tasks = []
        for user in range(connections):
            connected = asyncio.Event()
            tasks.append(clients.create_task(_listen(cluster, user, connected)))
            if user % 50 == 0:
                await connected.wait()
        async with cluster.user(-1 % 10**6) as one:
            quiet = [await _way(cluster, one) for _ in range(100)]
            took, beside = [], []
            async with cluster.node.http(f"http://127.0.0.1:{cluster.node.health_port}") as http:
                for _ in range(50):
                    began_at = time.perf_counter()
                    scrape = asyncio.create_task(http.get("/metrics"))
                    beside.append(await _way(cluster, one))
                    text = (await scrape).text
                    took.append(time.perf_counter() - began_at)
        cpu = [line for line in text.splitlines() if line.startswith("http_server_request_duration_seconds_sum")]
        spent = sum(float(line.split()[-1]) for line in cpu if '"/metrics"' in line) / len(took)
        print(f"{connections} connections: {text.count(chr(10))} lines, {len(text)} bytes")
        print(f"in the node {spent * 1e3:.2f} ms per scrape, other work in between; as seen from outside:")
        print(f"a scrape {median(took) * 1e3:.1f} ms, with a message published beside it")
        print(f"message to its client alone {_both(quiet)} ms, beside a scrape {_both(beside)} ms (median, worst)")
        for task in tasks:
            task.cancel()


def _both(seconds: list[float]) -> str:
    return f"{median(seconds) * 1e3:.1f}, {max(seconds) * 1e3:.1f}"


async def _way(cluster: Cluster, client: Any) -> float:
    began_at = time.perf_counter()
    await cluster.router.send({"users": [client.connected["user_id"]]}, {"type": "measured"})
    await client.receive("measured")
    return time.perf_counter() - began_at


async def _listen(cluster: Cluster, user: int, connected: asyncio.Event) -> None:
    async with dial(cluster.node.socket_url(token=cluster.tokens.user(user))) as client:
        await client.recv()
        connected.set()
        async for _ in client:
            pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--connections", type=int, help="scrape a node that holds so many")
    options = parser.parse_args()
    if options.connections is not None:
        asyncio.run(scrapes(options.connections))
        return
    asyncio.run(per_message(options.messages, options.rounds))
    libraries(options.messages)


if __name__ == "__main__":
    main()
