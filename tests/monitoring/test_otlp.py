"""Metrics go to a collector when OpenTelemetry's variables ask for it: the same as /metrics tells."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import MetricExportResult

from shared.metrics import Metrics
from shared.otel_sdk import Reasons
from shared.otel_settings import OtelSettings
from shared.otlp import OtlpExport
from shared.settings import read_settings
from tests.conftest import NewCluster
from tests.support.cluster import Cluster
from tests.support.collector import Collector, attributes
from tests.support.ports import LOOPBACK
from tests.support.process import Process
from tests.support.waiting import until

QUICK = {"OTEL_METRIC_EXPORT_INTERVAL": "50"}
AWAY, BACK = "the collector does not take metrics", "the collector takes metrics again"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector().running() as collector:
        yield collector


@pytest.fixture
async def cluster(collector: Collector, new_cluster: NewCluster) -> Cluster:
    return await new_cluster(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_EXPORTER_OTLP_HEADERS="x-tenant=blue",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_METRIC_EXPORT_INTERVAL="200",
        OTEL_BSP_SCHEDULE_DELAY="50",
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


async def test_one_endpoint_gets_traces_too_and_both_name_the_same_process(
    cluster: Cluster, collector: Collector
) -> None:
    async with cluster.user(7) as browser:
        await cluster.router.send("all", {"type": "measured"})
        await browser.receive("measured")
    for span in (await collector.found("POST /api/v1/messages"), await collector.found("process all")):
        await until(lambda service=span.service: collector.metrics_of(service))
        assert collector.resource_of(span.service)["service.instance.id"] == span.instance


async def test_it_gets_the_same_metrics_as_prometheus(cluster: Cluster, collector: Collector) -> None:
    for service, process in (("vsrt-node", cluster.node), ("vsrt-router", cluster.router)):
        text = (await process.health("/metrics")).text
        shown = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE)) - {"target_info"}
        scraped = {name for name in shown if re.search(rf"^{name}(_count|_total)?[{{ ]", text, re.MULTILINE)}
        await until(lambda name=service, names=scraped: _sent(collector, name, names))


def _sent(collector: Collector, service: str, names: set[str]) -> bool:
    missing = names - {_prometheus_name(metric) for metric in collector.metrics_of(service).values()}
    assert not missing, missing
    return True


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


def told(process: Process, *events: str) -> list[int]:
    lines = process.log().splitlines()
    return [sum(event in line for line in lines) for event in events]


async def test_a_collector_that_is_away_disturbs_nobody_and_is_told_of_once(new_cluster: NewCluster) -> None:
    collector = Collector()
    cluster = await new_cluster(OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"{collector.url}/v1/metrics", **QUICK)
    async with cluster.user(7) as browser:
        for number in range(20):
            await cluster.router.send({"users": [7]}, {"type": "numbered", "n": number})
        assert [message["n"] for message in await browser.receive_many("numbered", 20)] == list(range(20))
    await until(lambda: told(cluster.router, AWAY) == [1])
    with collector.running():
        await until(lambda: told(cluster.router, AWAY, BACK) == [1, 1])
    assert cluster.complaints() == []
    for service in cluster.services:
        assert await service.terminate() == 0


async def test_a_collector_that_hangs_holds_up_no_end(new_cluster: NewCluster) -> None:
    with socket.create_server((LOOPBACK, 0)) as hole:
        endpoint = f"http://{LOOPBACK}:{hole.getsockname()[1]}"
        patience = {"OTEL_EXPORTER_OTLP_TIMEOUT": "60"}
        cluster = await new_cluster(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **(QUICK | patience))
        await cluster.router.send("all", {"type": "traced"})
        # Spans and metrics have a second and a half each, and not the minute that an export may take.
        ends = await asyncio.gather(*(service.terminate(timeout=30) for service in cluster.services))
        assert set(ends) == {0}
        assert told(cluster.router, "the last metrics were not sent in time") == [1]


class Raising:
    """An exporter that raises the first time, as no exporter should."""

    def __init__(self) -> None:
        self.calls = 0

    def export(self, _: object) -> MetricExportResult:
        self.calls += 1
        if self.calls == 1:
            raise RuntimeError("can't start new thread")
        return MetricExportResult.SUCCESS

    def shutdown(self) -> None: ...


@pytest.mark.parametrize("exports", [1, 3])
async def test_an_export_that_raises_is_one_that_failed(caplog: pytest.LogCaptureFixture, exports: int) -> None:
    """The service does not end for it: it holds thousands of connections."""
    export, exporter = OtlpExport(Metrics({}), "collector:4318", Reasons()), Raising()
    export._exporter = exporter  # type: ignore[assignment]
    with caplog.at_level(logging.INFO):
        task = asyncio.create_task(export.run(0.01))
        await until(lambda: exporter.calls >= exports and AWAY in caplog.text)
        task.cancel()
        await asyncio.wait((task,))
        await export.close()
    assert task.cancelled()
    assert [vars(record).get("reason") for record in caplog.records if record.msg in (AWAY, BACK)] == [
        "RuntimeError: can't start new thread",
        None,
    ]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, "http://c"),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://m", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, "http://m"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, None),
        ({"OTEL_METRICS_EXPORTER": "OTLP"}, "http://localhost:4318"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "True"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_METRICS_EXPORTER": "none"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, None),
    ],
)
def test_the_environment_says_whether(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str | None
) -> None:
    for name in OtelSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert read_settings(OtelSettings).metrics_to == expected
