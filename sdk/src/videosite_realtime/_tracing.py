"""The caller's trace goes on, if OpenTelemetry is there (the extra ``[otel]``)."""

from __future__ import annotations

try:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:

    def trace_headers() -> dict[str, str]:
        """Return no headers: OpenTelemetry is not installed."""
        return {}

else:
    # This propagator, not the process's: baggage may hold what is nobody else's business.
    _propagator = TraceContextTextMapPropagator()

    def trace_headers() -> dict[str, str]:
        """Return ``traceparent`` and ``tracestate`` of the current span, nothing without one."""
        headers: dict[str, str] = {}
        _propagator.inject(headers)
        return headers
