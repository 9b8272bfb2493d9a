"""Loads OpenTelemetry's API before anything else does, with the built-in propagators.

The API looks up its propagators when it is imported, which FastAPI does, and raises if one is not installed. A service
that is given a whole platform's ``OTEL_PROPAGATORS`` (``tracecontext,baggage,b3``) would end before its first line,
even with tracing off. None of the API's propagators is used here; :mod:`shared.otel_settings` reads the variable
itself.
"""

from __future__ import annotations

import os

_asked_for = os.environ.pop("OTEL_PROPAGATORS", None)
try:
    import opentelemetry.propagate  # noqa: F401
finally:
    if _asked_for is not None:
        os.environ["OTEL_PROPAGATORS"] = _asked_for
