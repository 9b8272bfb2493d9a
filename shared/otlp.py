"""A service's metrics to a collector, over OTLP/HTTP.

The SDK's exporter reads OpenTelemetry's variables (endpoint, headers, compression, certificates, timeout); what is sent
is made from the declarations of :mod:`shared.metrics`, as ``/metrics`` is, and always cumulative.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http import metric_exporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from shared.metrics import Buckets, Family, Labels, Metrics
from shared.otel_sdk import FLUSH, REASON_MAX, Reasons, in_daemon, sdk_resource, shown
from shared.tasks import running

logger = logging.getLogger(__name__)

_SCOPE: Final = "vsrt"


class OtlpExport:
    """Sends what a service measures; the loop reads the numbers, a thread sends them.

    A collector that fails is told of once, and once more when it is back: what it did not take, the next sums contain.
    """

    def __init__(self, metrics: Metrics, collector: str, reasons: Reasons) -> None:
        self._metrics, self._exporter = metrics, OTLPMetricExporter()
        self._collector, self._reasons = collector, reasons
        self._resource = sdk_resource(metrics.resource)
        self._started_ns = time.time_ns()
        self._under_way: asyncio.Future[MetricExportResult] | None = None
        self._failing = False

    async def run(self, every: float) -> None:
        """Send until cancelled."""
        while True:
            await asyncio.sleep(every)
            await self._send()

    async def _send(self) -> None:
        try:
            data = metrics_data(self._metrics, self._resource, self._started_ns)
            self._under_way = in_daemon(partial(self._exporter.export, data), "metrics export")
            result = await asyncio.shield(self._under_way)
        except Exception as exc:  # no thread to be had, for example: nothing for which a service should end
            self._reasons.last, result = f"{type(exc).__name__}: {exc}"[:REASON_MAX], MetricExportResult.FAILURE
        self._tell(result)

    def _tell(self, result: MetricExportResult) -> None:
        failed = result is not MetricExportResult.SUCCESS
        if failed == self._failing:
            return
        self._failing = failed
        told = {"collector": self._collector}
        if failed:
            logger.warning("the collector does not take metrics", extra={**told, "reason": self._reasons.last})
        else:
            logger.info("the collector takes metrics again", extra=told)

    async def close(self) -> None:
        """Send what is known at the end, within bounds."""
        try:
            async with asyncio.timeout(FLUSH):
                if self._under_way is not None:
                    await asyncio.wait((self._under_way,))
                await self._send()
        except TimeoutError:
            logger.warning("the last metrics were not sent in time", extra={"collector": self._collector})
        self._exporter.shutdown()  # ends its retries too


@contextlib.asynccontextmanager
async def exporting(metrics: Metrics, endpoint: str, every: float) -> AsyncIterator[None]:
    """Send the metrics every so many seconds for as long as the context lasts, and once more at its end."""
    reasons = Reasons()
    logging.getLogger(metric_exporter.__name__).addFilter(reasons)
    export = OtlpExport(metrics, shown(endpoint), reasons)
    logger.info("metrics are exported", extra={"collector": shown(endpoint), "seconds": every})
    try:
        async with running(export.run(every), "otlp metrics"):
            yield
    finally:
        await export.close()


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
    # Attributes with an empty value are left out: no error happened, no script was called.
    attributes = {name: text for name, text in zip(names, values, strict=True) if text}
    if not isinstance(value, Buckets):
        return NumberDataPoint(attributes, started_ns, now_ns, value)
    least: Any = None  # not kept, nor is the greatest; the protocol does without
    exemplars = [Exemplar({}, e.value, e.at_ns, e.span_id, e.trace_id) for e in value.exemplars.values()]
    return HistogramDataPoint(
        attributes,
        started_ns,
        now_ns,
        value.count,
        value.sum,
        list(value.counts),
        value.bounds,
        least,
        least,
        exemplars,
    )
