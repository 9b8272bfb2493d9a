"""Exports spans: a bounded queue, a thread of the SDK's, OTLP over HTTP.

Whatever the collector does, a request never waits for it. Spans that find the queue full are dropped and counted. A
collector that fails is logged once, and once more when it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence

from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from shared.otel_sdk import FLUSH, Reasons, in_daemon, sdk_resource, shown
from shared.otel_settings import OtelSettings
from shared.tracing import SpanCounts, Tracing
from shared.version import VERSION

logger = logging.getLogger(__name__)


class ChosenIds(RandomIdGenerator):
    """Gives new traces the id by which their sampling was decided. All of them begin in the loop's thread."""

    trace_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id


class BoundedProcessor(BatchSpanProcessor):
    """Drops and counts new spans while the queue is full; the SDK's own drops the oldest, with a warning for each."""

    def __init__(self, exporter: SpanExporter, settings: OtelSettings, counts: SpanCounts) -> None:
        super().__init__(
            exporter,
            max_queue_size=settings.otel_bsp_max_queue_size,
            schedule_delay_millis=settings.otel_bsp_schedule_delay,
            max_export_batch_size=settings.otel_bsp_max_export_batch_size,
        )
        self._max, self._counts = settings.otel_bsp_max_queue_size, counts

    def on_end(self, span: ReadableSpan) -> None:
        counts = self._counts
        if counts.queued - counts.taken >= self._max:
            counts.dropped += 1
            return
        counts.queued += 1
        super().on_end(span)


class ToldOnce(SpanExporter):
    """Exports by another exporter, counts what comes of it, and logs when that changes."""

    def __init__(self, exporter: SpanExporter, reasons: Reasons, collector: str, counts: SpanCounts) -> None:
        self._exporter, self._reasons, self._collector, self._counts = exporter, reasons, collector, counts
        self._lost_before = -1  # of a failure that lasts: what had been lost when it began

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._counts.taken += len(spans)
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self._counts.exported += len(spans)
            if self._lost_before >= 0:
                lost, self._lost_before = self._counts.lost - self._lost_before, -1
                logger.info("the collector takes traces again", extra={"collector": self._collector, "lost": lost})
        else:
            if self._lost_before < 0:
                self._lost_before = self._counts.lost
                why = {"collector": self._collector, "reason": self._reasons.last}
                logger.warning("the collector does not take traces; they are dropped", extra=why)
            self._counts.failed += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


@contextlib.asynccontextmanager
async def exporting(settings: OtelSettings, endpoint: str, resource: Mapping[str, str]) -> AsyncIterator[Tracing]:
    """Give what makes spans and exports them; its end waits a little for the last ones."""
    counts, ids, reasons = SpanCounts(), ChosenIds(), Reasons()
    logging.getLogger(trace_exporter.__name__).addFilter(reasons)
    collector = shown(endpoint)
    exporter = ToldOnce(OTLPSpanExporter(), reasons, collector, counts)
    # Sampling decides before a span exists, so every span that exists is exported.
    provider = TracerProvider(ALWAYS_ON, sdk_resource(resource), shutdown_on_exit=False, id_generator=ids)
    provider.add_span_processor(BoundedProcessor(exporter, settings, counts))
    tracer = provider.get_tracer("videosite_realtime", VERSION)
    logger.info("traces are exported", extra={"collector": collector, "sampler": settings.otel_traces_sampler})
    try:
        yield Tracing(tracer, ids, settings.sampling, counts, hears_callers=settings.hears_callers)
    finally:
        await _shut_down(provider)
        counts.dropped += counts.queued - counts.taken  # what the last moment did not suffice for
        if counts.lost:
            logger.warning("spans were lost", extra={"dropped": counts.dropped, "failed": counts.failed})


async def _shut_down(provider: TracerProvider) -> None:
    """Export what is queued, for a bounded time: the SDK would wait half a minute for a collector that hangs."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FLUSH):
            await in_daemon(provider.shutdown, "trace flush")
