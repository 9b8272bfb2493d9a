"""``/metrics``: a service's metrics in Prometheus' text format."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.core import Metric as PrometheusFamily
from prometheus_client.registry import Collector

from shared.metrics import Buckets, Family, Metric, Metrics

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
# What OpenTelemetry calls the resource, as its rules for Prometheus have it.
TARGET: Final = Metric(
    "target.info",
    "gauge",
    "",
    "Always 1: which service this is, in which version, and under which name.",
    ("service.name", "service.version", "service.instance.id"),
)


class Exposition:
    """Renders a service's metrics whenever it is scraped."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def render(self) -> bytes:
        """Return everything as text; the loop serves others in between, for all of it takes some ms."""
        text = [generate_latest(_Registry(self._target()))]
        for family in self._metrics.collect():
            text.append(generate_latest(_Registry(_prometheus(family))))
            await asyncio.sleep(0)
        return b"".join(text)

    def _target(self) -> PrometheusFamily:
        values = (self._metrics.resource.get(name, "") for name in TARGET.labels)
        return InfoMetricFamily("target", TARGET.help, value=dict(zip(TARGET.prometheus_labels, values, strict=True)))


class _Registry(Collector):
    """What the library's generator asks for metrics: it writes out one at a time."""

    def __init__(self, family: PrometheusFamily) -> None:
        self._family = family

    def collect(self) -> Iterator[PrometheusFamily]:
        yield self._family


def _prometheus(family: Family) -> PrometheusFamily:
    metric = family.metric
    name, labels = metric.prometheus, metric.prometheus_labels
    if metric.kind == "histogram":
        distribution = HistogramMetricFamily(name, metric.help, labels=labels)
        for values, point in family.points.items():
            assert isinstance(point, Buckets)
            distribution.add_metric(values, _cumulative(point), point.sum)
        return distribution
    simple = (CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily)(name, metric.help, labels=labels)
    for values, point in family.points.items():
        assert not isinstance(point, Buckets)
        simple.add_metric(values, point)
    return simple


def _cumulative(buckets: Buckets) -> list[tuple[str, float]]:
    bounds = (*map(str, buckets.bounds), "+Inf")
    return list(zip(bounds, accumulate(buckets.counts), strict=True))
