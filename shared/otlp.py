"""A service's metrics to a collector, over OTLP/HTTP.

The SDK's exporter reads OpenTelemetry's variables (endpoint, headers, compression, certificates, timeout); what is sent
is made from the declarations of :mod:`shared.metrics`, as ``/metrics`` is, and always cumulative.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from shared.metrics import Buckets, Family, Labels, Metrics

logger = logging.getLogger(__name__)

_LAST_WORDS: Final = 2.0  # s for the last export: no shutdown waits longer for a collector
_SCOPE: Final = "vsrt"


class OtlpExport:
    """Sends what a service measures; the loop reads the numbers, a thread sends them."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics, self._exporter = metrics, OTLPMetricExporter()
        self._resource = _resource(metrics.resource)
        self._started_ns = time.time_ns()
        self._under_way: asyncio.Future[Any] | None = None

    async def run(self, every: float) -> None:
        """Send until cancelled. What a collector does not take is not repeated: the next sums contain it."""
        while True:
            await asyncio.sleep(every)
            await asyncio.shield(self._send())

    def _send(self) -> asyncio.Future[Any]:
        data = metrics_data(self._metrics, self._resource, self._started_ns)
        self._under_way = asyncio.get_running_loop().run_in_executor(None, self._exporter.export, data)
        return self._under_way

    async def close(self) -> None:
        """Send what is known at the end, within bounds."""
        try:
            async with asyncio.timeout(_LAST_WORDS):
                if self._under_way is not None:
                    await asyncio.shield(self._under_way)
                await asyncio.shield(self._send())
        except TimeoutError:
            logger.warning("the last metrics were not sent in time")
        self._exporter.shutdown()  # ends its retries too


def _resource(ours: Mapping[str, str]) -> Resource:
    """Return the resource: what ``OTEL_RESOURCE_ATTRIBUTES`` and ``OTEL_SERVICE_NAME`` say counts more than ours."""
    return Resource.create({}).merge(Resource(ours)).merge(OTELResourceDetector().detect())


def metrics_data(metrics: Metrics, resource: Resource, started_ns: int) -> MetricsData:
    """Return what is measured just now as OpenTelemetry's exporters take it.

    Args:
        started_ns: since when counters count, ns since the Unix epoch.
    """
    now_ns = time.time_ns()
    families = [_metric(family, started_ns, now_ns) for family in metrics.collect() if family.points]
    scope = ScopeMetrics(InstrumentationScope(_SCOPE), families, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _metric(family: Family, started_ns: int, now_ns: int) -> Metric:
    declared, cumulative = family.metric, AggregationTemporality.CUMULATIVE
    points = [_point(declared.labels, values, value, started_ns, now_ns) for values, value in family.points.items()]
    data: Histogram | Sum | Gauge
    if declared.kind == "histogram":
        data = Histogram(points, cumulative)
    elif declared.kind == "counter":
        data = Sum(points, cumulative, is_monotonic=True)
    else:
        data = Gauge(points)
    return Metric(declared.name, declared.help, declared.unit, data)


def _point(names: Labels, values: Labels, value: int | float | Buckets, started_ns: int, now_ns: int) -> Any:
    # An attribute without a value is none: no error, no script.
    attributes = {name: text for name, text in zip(names, values, strict=True) if text}
    if not isinstance(value, Buckets):
        return NumberDataPoint(attributes, started_ns, now_ns, value)
    least: Any = None  # not kept, nor is the greatest; the protocol does without
    return HistogramDataPoint(
        attributes, started_ns, now_ns, value.count, value.sum, list(value.counts), value.bounds, least, least
    )
