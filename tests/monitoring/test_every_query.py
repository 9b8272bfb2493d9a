"""A real Prometheus scrapes a cluster at work, and every query of every dashboard and rule returns data.

An alert that fires would be a cluster in trouble, so of alerts it is asked for what they compare: without its number,
the expression must return something, or the alert could never fire.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.monitoring.prometheus import Prometheus
from tests.monitoring.queries import RULES, Asked, declared, in_dashboards, in_rules
from tests.monitoring.scene import Scene
from tests.support.cluster import Cluster, Node
from tests.support.redis_server import RedisServer
from tests.support.waiting import until, until_equal

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = {
    "MESSAGE_MAX_BYTES": "65536",
    "COMMANDS_PER_SECOND": "100",
    "DRAIN_SECONDS": "6",
    "HEARTBEAT_TIMEOUT": "3600",  # the scene's clients send none
}
QUERIES = [*in_dashboards(), *in_rules()]
# What rightly fires once the scene has lasted for minutes: the node that left is still asked for, clients come and go
# without a pause, and producers are wrong.
OF_THE_SCENE = ("VsrtNodeDown", "VsrtReconnectStorm", "VsrtAuthFailures", "VsrtProducersRefused")


@dataclass(frozen=True)
class Watched:
    """A cluster at work, and who watches it."""

    prometheus: Prometheus
    cluster: Cluster
    scene: Scene

    async def shows(self, expr: str) -> float:
        """Return what a query that yields one number yields."""
        values = await self.prometheus.values(expr)
        assert len(values) == 1, values
        return values[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    """Three nodes, one of which leaves, and a router; everything has happened a few times, and goes on happening."""
    directory = tmp_path_factory.mktemp("watched")
    cluster = Cluster(redis_server, directory, **SETTINGS)
    prometheus: Prometheus | None = None
    try:
        await cluster.start(nodes=3)
        prometheus = Prometheus(directory, cluster.nodes, cluster.routers, RULES)
        await prometheus.start()
        async with Scene(cluster).played() as scene:
            await until_equal(prometheus.targets_up, len(cluster.services), timeout=60)
            await until(lambda: scene.rounds >= 3, timeout=90)
            await _leave(cluster.nodes[2], cluster, prometheus)
            yield Watched(prometheus, cluster, scene)
    finally:
        if prometheus is not None:
            await prometheus.close()
        await cluster.close()


async def _leave(node: Node, cluster: Cluster, prometheus: Prometheus) -> None:
    """Have a node leave, and Prometheus see it: it takes the longer, the more clients it has."""
    async with AsyncExitStack() as stack:
        for user in range(90, 98):
            await stack.enter_async_context(cluster.user(user, node=node))
        stopped = asyncio.create_task(node.terminate())
        await until(lambda: prometheus.values("vsrt_node_draining == 1"), timeout=60)
        await stopped


@pytest.mark.parametrize("asked", QUERIES, ids=str)
async def test_a_query_returns_data(watched: Watched, asked: Asked) -> None:
    await until(lambda: watched.prometheus.drawn(asked.expr), timeout=60)


async def test_a_query_for_what_is_not_there_would_be_seen(watched: Watched) -> None:
    assert await watched.prometheus.drawn("sum(rate(vsrt_node_nothing_total[1m]))") == []
    assert await watched.prometheus.drawn("vsrt_node_connections / 0 * 0") == []


@pytest.mark.parametrize("metric", declared(), ids=lambda metric: metric.name)
async def test_every_declared_metric_is_scraped_with_its_labels(watched: Watched, metric) -> None:
    name = metric.prometheus + ("_count" if metric.kind == "histogram" else "")
    by = ", ".join(metric.prometheus_labels)
    await until(lambda: watched.prometheus.drawn(f"count by ({by}) ({name})"), timeout=30)


async def test_what_it_shows_is_what_happened(watched: Watched) -> None:
    large = 'messaging_client_consumed_messages_total{type="custom",audience="all",instance="%s"}'
    first, second = (f"127.0.0.1:{node.health_port}" for node in watched.cluster.nodes[:2])
    async with watched.scene.between_rounds:  # the two are not scraped in the same moment
        await until(lambda: _all_equal(watched, large % first, large % second), timeout=30)


async def _all_equal(watched: Watched, *queries: str) -> bool:
    values = [await watched.shows(query) for query in queries]
    return len(set(values)) == 1


async def test_of_a_cluster_that_works_no_alert_fires(watched: Watched) -> None:
    others = f'ALERTS{{alertstate="firing", alertname!~"{"|".join(OF_THE_SCENE)}"}}'
    assert await watched.prometheus.drawn(others) == []
