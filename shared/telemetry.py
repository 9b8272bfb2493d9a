"""Sends traces and metrics out of this process if the settings ask for it, and loads the SDK only then.

OpenTelemetry's SDK and its exporters take a quarter of a second to import, and 20 MB.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from shared.metrics import Metrics
from shared.otel_settings import OtelSettings
from shared.tracing import Tracing


@asynccontextmanager
async def traced(settings: OtelSettings, resource: Mapping[str, str]) -> AsyncIterator[Tracing | None]:
    """Export traces for as long as the context lasts; to be entered first on an exit stack, so that it closes last.

    Gives None where no traces are wanted.

    Args:
        resource: what is true of every span of this process, unless ``OTEL_RESOURCE_ATTRIBUTES`` knows better.
    """
    if settings.traces_to is None:
        yield None
        return
    from shared.trace_export import exporting

    async with exporting(settings, settings.traces_to, resource) as tracing:
        yield tracing


@asynccontextmanager
async def measured(settings: OtelSettings, metrics: Metrics) -> AsyncIterator[None]:
    """Send the metrics every so often for as long as the context lasts, and once more at its end."""
    if settings.metrics_to is None:
        yield
        return
    from shared.otlp import exporting

    async with exporting(metrics, settings.metrics_to, settings.otel_metric_export_interval / 1000):
        yield
