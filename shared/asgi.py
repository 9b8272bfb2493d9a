"""The ASGI types of this code base, in one place, and what both applications tell FastAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from fastapi.security import HTTPBearer
from fastapi.telemetry import TelemetryConfig

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

# FastAPI's own telemetry would keep a span for every socket, as long as the connection.
NO_TELEMETRY: Final[TelemetryConfig] = {"tracing": False, "metrics": False}

# The status under which a call counts whose caller hung up, as proxies have it. Nobody is there to be answered.
GONE: Final = 499

# Load balancers may probe with HEAD.
PROBES: Final = ["GET", "HEAD"]

# Shows credentials in OpenAPI, by ``Security(BEARER, scopes=…)``. It checks nothing: the services do that themselves.
BEARER: Final = HTTPBearer(
    scheme_name="Bearer", description="A JWT; a router takes a service key too.", auto_error=False
)
