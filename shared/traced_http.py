"""Server spans for HTTP calls that are sampled.

Behind this layer every call has a ``traceparent`` that says whether it is sampled, whatever it came with, so that code
that passes it on or logs it need not know of spans. Code that adds spans of its own finds the call's by ``trace_of``.

FastAPI's own telemetry is off: it creates a span before anything is decided, and keeps one per socket for as long as
the socket is open. A span here has neither path nor query, only the route: paths contain user ids, queries tokens.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final

from opentelemetry.trace import Span, SpanContext, SpanKind, use_span

from shared import spans
from shared.asgi import ASGIApp, Event, Receive, Scope, Send
from shared.tracing import Attributes, Tracing, fail, traceparent_of

_KEY: Final = "videosite.trace"
_API: Final = "/api/"
_NO_METHOD: Final = "HTTP"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class HttpTrace:
    """A sampled request: its span, and those within it that are not over yet."""

    def __init__(self, tracing: Tracing, span: Span) -> None:
        self.span = span
        self._tracing = tracing
        self._open: list[Span] = []

    def begin(self, name: str, kind: SpanKind, attributes: Attributes, links: Sequence[SpanContext] = ()) -> Span:
        """Begin a span within the request; if it is not ended before the request, it ends together with it."""
        parent = self.span.get_span_context()
        span = self._tracing.span(name, kind, parent, links=links, attributes=attributes)
        self._open.append(span)
        return span

    def end(self, error: str | None, *, is_ours: bool) -> None:
        """End the request.

        Args:
            error: what it failed by, if it did.
            is_ours: the failure is the server's; of a caller's own, the conventions have the server's span say nothing.
        """
        for span in self._open:
            if span.is_recording():
                fail(span, error or "abandoned")
                span.end()
        if error is not None and is_ours:
            fail(self.span, error)
        self.span.end()


def trace_of(scope: Scope) -> HttpTrace | None:
    """Return the trace of a request that is sampled."""
    trace: HttpTrace | None = scope.get(_KEY)
    return trace


class TracedHttp:
    """An ASGI application around another: calls under ``/api/`` get a span if they are sampled.

    Args:
        fixed: paths that are their own routes; others are asked of FastAPI, which notes the route it took.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing, fixed: Container[str] = ()) -> None:
        self._app, self._tracing, self._fixed = app, tracing, fixed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_API) or scope["method"] == "OPTIONS":
            await self._app(scope, receive, send)
            return
        span = self._begin(scope)
        if isinstance(span, str):
            await self._app(scope, receive, send)
            return
        trace = scope[_KEY] = HttpTrace(self._tracing, span)
        status = 0

        async def watched(event: Event) -> None:
            nonlocal status
            if event["type"] == "http.response.start":
                status = event["status"]
            await send(event)

        error: str | None = "abandoned"  # nobody was left to be answered
        try:
            # Current for the logs. The span must not record exceptions itself: their text may quote a message.
            with use_span(span, record_exception=False, set_status_on_exception=False):
                await self._app(scope, receive, watched)
            if status:
                error = str(status) if status >= 400 else None
        except BaseException as exc:
            error, status = type(exc).__name__, 500
            raise
        finally:
            self._describe(span, scope, status)
            trace.end(error, is_ours=status >= 500)

    def _begin(self, scope: Scope) -> Span | str:
        given = [value for name, value in scope["headers"] if name == b"traceparent"]
        # Several are ignored: code behind us that reads the headers might take another one of them.
        header = given[0].decode("latin-1") if len(given) == 1 else None
        entered = self._tracing.enter(_NO_METHOD, SpanKind.SERVER, header)
        decided = entered if isinstance(entered, str) else traceparent_of(entered)
        if decided is not header:
            others = [field for field in scope["headers"] if field[0] != b"traceparent"] if given else scope["headers"]
            scope["headers"] = [*others, (b"traceparent", decided.encode())]
        return entered

    def _describe(self, span: Span, scope: Scope, status: int) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        route = scope["path"] if scope["path"] in self._fixed else getattr(scope.get("route"), "path", None)
        span.update_name(f"{method if method != '_OTHER' else _NO_METHOD} {route or ''}".strip())
        span.set_attributes({spans.HTTP_METHOD: method, spans.URL_SCHEME: scope["scheme"]})
        if route:
            span.set_attribute(spans.HTTP_ROUTE, route)
        if status:
            span.set_attribute(spans.HTTP_STATUS, status)
