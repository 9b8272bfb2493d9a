"""Where the examples' spans go: to the collector that ``OTEL_EXPORTER_OTLP_ENDPOINT`` names, if it names one.

A producer of your own sets up its provider in its own way, or runs under ``opentelemetry-instrument``: the service
needs nothing but that there is one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec


def configure(service: str) -> Callable[[], None] | None:
    """Set the process's provider up, under ``OTEL_SERVICE_NAME`` or this name; None where no spans are wanted.

    Returns:
        What exports the last spans. It is called by itself when the interpreter ends, but not in the children of a
        worker that forks; there, this whole set-up is each child's own, for no thread survives a fork.
    """
    named = any(os.environ.get(f"OTEL_EXPORTER_OTLP_{which}ENDPOINT") for which in ("", "TRACES_"))
    if not named or find_spec("opentelemetry.exporter") is None or find_spec("opentelemetry.sdk") is None:
        return None
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME") or service
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider.shutdown
