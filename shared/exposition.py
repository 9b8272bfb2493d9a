"""``/metrics``: a service's metrics in Prometheus' text format, or on request as OpenMetrics, which has exemplars."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.core import Exemplar as PrometheusExemplar
from prometheus_client.core import Metric as PrometheusFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from shared.metrics import Buckets, Exemplar, Family, Metric, Metrics

_END: Final = b"# EOF\n"  # of OpenMetrics
# OpenTelemetry's resource, as its rules for Prometheus represent it.
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

    async def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return everything as text, and its media type; the loop serves others in between, for it takes some ms.

        Args:
            accept: what the scraper's header says.
        """
        encode, media_type = choose_encoder(accept)
        first = encode(_Registry(self._target()))
        text = [first.removesuffix(_END)]
        for family in self._metrics.collect():
            text.append(encode(_Registry(_prometheus(family))).removesuffix(_END))
            await asyncio.sleep(0)
        if first.endswith(_END):
            text.append(_END)
        return b"".join(text), media_type

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
            distribution.add_metric(values, list(_cumulative(point)), point.sum)
        return distribution
    simple = (CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily)(name, metric.help, labels=labels)
    for values, point in family.points.items():
        assert not isinstance(point, Buckets)
        simple.add_metric(values, point)
    return simple


def _cumulative(buckets: Buckets) -> Iterator[tuple[str, float] | tuple[str, float, PrometheusExemplar]]:
    bounds = (*map(str, buckets.bounds), "+Inf")
    for place, bucket in enumerate(zip(bounds, accumulate(buckets.counts), strict=True)):
        exemplar = buckets.exemplars.get(place)
        yield bucket if exemplar is None else (*bucket, _example(exemplar))


def _example(exemplar: Exemplar) -> PrometheusExemplar:
    trace = {"trace_id": f"{exemplar.trace_id:032x}", "span_id": f"{exemplar.span_id:016x}"}
    return PrometheusExemplar(trace, exemplar.value, exemplar.at_ns / 1e9)
