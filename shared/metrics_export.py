"""Whether a service's metrics are sent to a collector: OpenTelemetry's environment variables say so."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Final

from shared.errors import SettingsError
from shared.metrics import Metrics
from shared.tasks import running

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_INTERVAL: Final = "OTEL_METRIC_EXPORT_INTERVAL"  # ms
_DEFAULT_INTERVAL_MS: Final = "60000"


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether the environment asks for metrics to be sent."""
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_METRICS_EXPORTER") == "none"
    return not off and any(environ.get(name) for name in _ENDPOINTS)


def interval(environ: Mapping[str, str]) -> float:
    """Return the seconds between two exports.

    Raises:
        SettingsError: the variable is no positive number.
    """
    text = environ.get(_INTERVAL) or _DEFAULT_INTERVAL_MS
    if not text.isdigit() or int(text) == 0:
        raise SettingsError(f"{_INTERVAL}: a positive number of milliseconds is needed, not {text!r}")
    return int(text) / 1000


@contextlib.asynccontextmanager
async def exporting(metrics: Metrics, environ: Mapping[str, str]) -> AsyncIterator[None]:
    """Send the metrics every so often for as long as the context lasts, and once more at its end.

    Raises:
        SettingsError: a variable cannot be understood.
    """
    if not wanted(environ):
        yield
        return
    every = interval(environ)
    # Only here: the SDK and its exporter take a quarter of a second to import, and 15 MB.
    from shared.otlp import OtlpExport

    export = OtlpExport(metrics)
    try:
        async with running(export.run(every), "otlp metrics"):
            yield
    finally:
        await export.close()
