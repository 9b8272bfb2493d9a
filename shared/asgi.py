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

# FastAPI's own telemetry would put a span as long as the connection on every socket.
NO_TELEMETRY: Final[TelemetryConfig] = {"tracing": False, "metrics": False}

# Whoever watches a service may ask for the head alone, as load balancers do.
PROBES: Final = ["GET", "HEAD"]

# What OpenAPI shows of credentials, with ``Security(BEARER, scopes=…)``: it lets everybody pass, judging them is ours.
BEARER: Final = HTTPBearer(
    scheme_name="Bearer", description="A JWT; a router takes a service key too.", auto_error=False
)
