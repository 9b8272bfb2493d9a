"""Tracing whose spans stay in memory."""

from __future__ import annotations

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from shared.trace_export import ChosenIds
from shared.tracing import Sampling, SpanCounts, Tracing


def tracing_of(exporter: InMemorySpanExporter, sampling: Sampling, *, hears_callers: bool = True) -> Tracing:
    ids = ChosenIds()
    provider = TracerProvider(ALWAYS_ON, shutdown_on_exit=False, id_generator=ids)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider.get_tracer("tests"), ids, sampling, SpanCounts(), hears_callers=hears_callers)
