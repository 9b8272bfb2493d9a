"""Metrics go to a collector when OpenTelemetry's variables ask for it: the same as /metrics tells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from shared.errors import SettingsError
from shared.metrics_export import interval, wanted
from tests.conftest import NewCluster
from tests.monitoring.collector import Collector, attributes
from tests.support.cluster import Cluster
from tests.support.waiting import until


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture
async def cluster(collector: Collector, new_cluster: NewCluster) -> Cluster:
    return await new_cluster(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_EXPORTER_OTLP_HEADERS="x-tenant=blue",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_METRIC_EXPORT_INTERVAL="200",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
    )


async def test_a_collector_gets_what_is_measured_with_its_resource(cluster: Cluster, collector: Collector) -> None:
    async with cluster.user(7) as browser:
        await cluster.router.send("all", {"type": "measured"})
        await browser.receive("measured")
        duration = await until(lambda: collector.metrics_of("vsrt-node").get("vsrt.node.delivery.duration"))
        (point,) = duration.histogram.data_points
        assert attributes(point) == {"type": "custom", "audience": "all"}
        assert point.count == sum(point.bucket_counts) == 1
        assert len(point.explicit_bounds) == len(point.bucket_counts) - 1
        assert 0 < point.sum < 10
        assert duration.unit == "s"
        assert point.start_time_unix_nano < point.time_unix_nano
        assert not point.HasField("min")
    resource = collector.resource_of("vsrt-node")
    assert resource["service.instance.id"] == "node-1"
    assert resource["deployment.environment.name"] == "test"
    assert collector.headers["x-tenant"] == "blue"


async def test_it_gets_the_same_metrics_as_prometheus(cluster: Cluster, collector: Collector) -> None:
    for service, process in (("vsrt-node", cluster.node), ("vsrt-router", cluster.router)):
        text = (await process.health("/metrics")).text
        shown = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE)) - {"target_info"}
        sent = await until(lambda name=service: collector.metrics_of(name))
        scraped = {name for name in shown if re.search(rf"^{name}(_count|_total)?[{{ ]", text, re.MULTILINE)}
        assert {_prometheus_name(metric) for metric in sent.values()} >= scraped


def _prometheus_name(metric: Any) -> str:
    """Return what a collector that exports to Prometheus makes of a metric, by OpenTelemetry's rules."""
    name = metric.name.replace(".", "_")
    kind = metric.WhichOneof("data")
    suffix = {"s": "_seconds", "By": "_bytes"}.get(metric.unit, "")
    if metric.unit == "1" and kind == "gauge":
        suffix = "_ratio"
    return name + suffix + ("_total" if kind == "sum" else "")


async def test_the_last_words_are_sent_at_the_end(cluster: Cluster, collector: Collector) -> None:
    await cluster.router.send("all", {"type": "last"})
    await cluster.router.terminate()
    (point,) = collector.metrics_of("vsrt-router")["messaging.client.sent.messages"].sum.data_points
    assert point.as_int == 1


async def test_a_collector_that_is_away_disturbs_nobody(new_cluster: NewCluster) -> None:
    cluster = await new_cluster(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_METRIC_EXPORT_INTERVAL="50")
    async with cluster.user(7) as browser:
        for number in range(20):
            await cluster.router.send({"users": [7]}, {"type": "numbered", "n": number})
        assert [message["n"] for message in await browser.receive_many("numbered", 20)] == list(range(20))
    for service in cluster.services:
        assert await service.terminate() == 0


async def test_a_wrong_interval_stops_the_start_with_one_line(new_cluster: NewCluster) -> None:
    cluster = await new_cluster()
    node = cluster.add_node(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_METRIC_EXPORT_INTERVAL="often")
    node.launch()
    assert await node.exit_status() == 1
    assert "OTEL_METRIC_EXPORT_INTERVAL: a positive number of milliseconds is needed, not 'often'" in node.log()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_METRICS_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
    ],
)
def test_the_environment_says_whether(environ: dict[str, str], expected: bool) -> None:
    assert wanted(environ) is expected


def test_the_interval_is_a_minute_unless_it_is_said() -> None:
    assert (interval({}), interval({"OTEL_METRIC_EXPORT_INTERVAL": "1500"})) == (60, 1.5)
    for wrong in ("0", "-1", "1.5", "x"):
        with pytest.raises(SettingsError, match="OTEL_METRIC_EXPORT_INTERVAL"):
            interval({"OTEL_METRIC_EXPORT_INTERVAL": wrong})
