"""Has OpenTelemetry's API loaded before anything asks for it, with the propagators that are always there.

The API looks its propagators up when it is imported, which FastAPI does, and raises for one that is not installed: a
service given a whole platform's ``OTEL_PROPAGATORS`` (``tracecontext,baggage,b3``) would end before its first line,
traced or not. None of the API's propagators is used here; :mod:`shared.otel_settings` reads the variable itself.
"""

from __future__ import annotations

import os

_asked_for = os.environ.pop("OTEL_PROPAGATORS", None)
try:
    import opentelemetry.propagate  # noqa: F401
finally:
    if _asked_for is not None:
        os.environ["OTEL_PROPAGATORS"] = _asked_for
