"""A collector that is away, hangs or refuses harms nobody: no wait, no flood, a bounded queue, counted losses."""

from __future__ import annotations

import asyncio

from tests.conftest import NewCluster
from tests.support.black_hole import black_hole
from tests.support.cluster import Cluster
from tests.support.collector import Collector
from tests.support.ports import LOOPBACK, free_port
from tests.support.waiting import until

QUICK = {
    "OTEL_BSP_SCHEDULE_DELAY": "50",
    "OTEL_BSP_MAX_QUEUE_SIZE": "40",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "20",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "10",
}
AWAY, BACK, LOST = "the collector does not take traces", "the collector takes traces again", "spans were lost"


async def talk(cluster: Cluster, count: int = 100) -> None:
    """Send many messages; every one is traced, and heard."""
    async with cluster.user(1) as client:
        await asyncio.gather(*(cluster.router.send("all", {"type": "tick"}) for _ in range(count)))
        await client.receive_many("tick", count)


def lines(cluster: Cluster, *words: str) -> list[int]:
    return [sum(word in line for line in cluster.router.log().splitlines()) for word in words]


async def test_a_collector_that_is_away_is_told_of_once_and_once_more_when_it_is_back(new_cluster: NewCluster) -> None:
    collector = Collector()
    cluster = await new_cluster(**(collector.env | QUICK))
    await talk(cluster)
    await until(lambda: lines(cluster, AWAY) == [1])
    await talk(cluster)
    with collector.running():

        async def heard() -> bool:
            await talk(cluster, 1)
            return bool(collector.spans())

        await until(heard, timeout=60)
        await until(lambda: lines(cluster, AWAY, BACK) == [1, 1])
    assert cluster.complaints() == []


async def test_a_collector_that_hangs_holds_up_no_message_and_no_end(new_cluster: NewCluster) -> None:
    with black_hole() as url:
        cluster = await new_cluster(
            **(QUICK | {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": url, "OTEL_EXPORTER_OTLP_TIMEOUT": "60"})
        )
        await talk(cluster)
        # And not after the minute that an export may take.
        ends = await asyncio.gather(*(service.terminate(timeout=20) for service in cluster.services))
        assert set(ends) == {0}
        assert lines(cluster, LOST) == [1]
        assert "dropped=" in cluster.router.log()
    assert cluster.complaints() == []


async def test_a_collector_that_refuses_is_told_with_its_reason(new_cluster: NewCluster) -> None:
    port = free_port()

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, LOOPBACK, port):
        endpoint = f"http://user:password@{LOOPBACK}:{port}"
        cluster = await new_cluster(**(QUICK | {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint}))
        await talk(cluster)
        await until(lambda: lines(cluster, AWAY) == [1])
        assert "401" in cluster.router.log()
        assert "password" not in cluster.router.log()


async def test_the_last_spans_leave_before_the_process_ends(new_cluster: NewCluster) -> None:
    with Collector().running() as collector:
        cluster = await new_cluster(**(collector.env | {"OTEL_BSP_SCHEDULE_DELAY": "60000"}))
        await talk(cluster, 3)
        for service in cluster.services:
            assert await service.terminate() == 0
        names = {span.name for span in collector.spans()}
        assert {"POST /api/v1/messages", "send all", "process all", "connect", "drain"} <= names
