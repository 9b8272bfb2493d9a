"""How long HTTP requests took, by OpenTelemetry's conventions: method, scheme, route, status."""

from __future__ import annotations

from time import perf_counter
from typing import Any, Final

from shared.asgi import ASGIApp, Event, Receive, Scope, Send
from shared.metrics import REQUEST, Buckets
from shared.traced_http import trace_of

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER: Final = "_OTHER"  # what the conventions call methods that nobody knows
_FAILED: Final = 500  # what uvicorn answers when an application raises


class HttpTimes:
    """Requests that were answered, and how long that took.

    Attributes:
        series: by method, scheme, route and status; the route is a template, empty for paths that are none of ours.
    """

    def __init__(self) -> None:
        self.series: dict[tuple[str, str, str, str], Buckets] = {}

    def add(self, scope: Scope, route: str, status: int, seconds: float) -> None:
        method = scope["method"]
        key = (method if method in _METHODS else _OTHER, scope["scheme"], route, str(status))
        buckets = self.series.get(key)
        if buckets is None:
            buckets = self.series[key] = Buckets(REQUEST)
        buckets.add(seconds)
        trace = trace_of(scope)
        if trace is not None:
            buckets.exemplify(seconds, trace.span.get_span_context())

    def measured(self, app: ASGIApp) -> ASGIApp:
        """Return the application with its requests measured; whatever is no HTTP request passes by."""

        async def measure(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            status = _FAILED

            async def watch(event: Event) -> None:
                nonlocal status
                if event["type"] == "http.response.start":
                    status = event["status"]
                await send(event)

            started = perf_counter()
            try:
                await app(scope, receive, watch)
            finally:
                self.add(scope, _route(scope), status, perf_counter() - started)

        return measure


def _route(scope: Scope) -> str:
    """Return the template of the route that Starlette has found, which it leaves in the scope."""
    route: Any = scope.get("route")
    return str(getattr(route, "path", "")) if route is not None else ""
