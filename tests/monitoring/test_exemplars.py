"""From a number to a trace: what is sampled stands as an example in the histograms, for Prometheus and a collector."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import NewCluster
from tests.monitoring.prometheus import Prometheus
from tests.support.collector import Collector
from tests.support.waiting import until

HISTOGRAMS = {
    "vsrt-router": ("http.server.request.duration", 'http_server_request_duration_seconds_bucket{job="vsrt-router"}'),
    "vsrt-node": ("vsrt.node.delivery.duration", "vsrt_node_delivery_duration_seconds_bucket"),
}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector().running() as collector:
        yield collector


async def test_a_message_that_is_sampled_is_an_example_of_its_call_and_of_its_delivery(
    new_cluster: NewCluster, collector: Collector, tmp_path: Path
) -> None:
    cluster = await new_cluster(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_TRACES_SAMPLER="always_on", OTEL_METRIC_EXPORT_INTERVAL="100"
    )
    prometheus = Prometheus(tmp_path, cluster.nodes, cluster.routers, ())
    await prometheus.start()
    try:
        async with cluster.user(7) as browser:
            for kind in ("system_message", "custom"):
                message = {"type": kind, **({"message": "hello"} if kind == "system_message" else {})}
                trace_id = (await cluster.router.send({"users": [7]}, message))["trace_id"]
                await browser.receive(kind)
                for service, (name, query) in HISTOGRAMS.items():
                    await until(lambda query=query, of=trace_id: shows(prometheus, query, of))
                    await until(lambda s=service, name=name, of=trace_id: of in examples(collector, s, name))
    finally:
        await prometheus.close()


async def shows(prometheus: Prometheus, query: str, trace_id: str) -> bool:
    return trace_id in await prometheus.traces(query)


def examples(collector: Collector, service: str, name: str) -> set[str]:
    metric = collector.metrics_of(service).get(name)
    points = metric.histogram.data_points if metric is not None else ()
    return {exemplar.trace_id.hex() for point in points for exemplar in point.exemplars}


async def test_what_is_not_sampled_is_no_example(new_cluster: NewCluster, collector: Collector) -> None:
    cluster = await new_cluster(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_TRACES_SAMPLER="always_off")
    async with cluster.user(7) as browser:
        await cluster.router.send({"users": [7]}, {"type": "custom"})
        await browser.receive("custom")
    for service in cluster.services:
        answer = await service.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
        assert answer.text.endswith("\n# EOF\n")
        assert "trace_id" not in answer.text
