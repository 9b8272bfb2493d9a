"""A call as a span of the caller's trace, if OpenTelemetry is there (the extra ``[otel]``).

The API alone is used: where spans go, and whether, is the application's to say, by the provider it has set up. The
span is the current one while the call lasts, so that an instrumented httpx nests in it. Of a message it tells nothing
but its id; of a user's message not even all of that, for the stream in it is the user's id in another writing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from videosite_realtime.receipts import ItemResult, Receipt

if TYPE_CHECKING:
    from videosite_realtime.requests import Request


class Call:
    """A call as nobody traces it: nothing comes of what it is told."""

    def headers(self) -> dict[str, str]:
        """Return what takes the trace to the router."""
        return {}

    def retried(self, failures: int, cause: str, delay: float) -> None:
        """Note a failed attempt: how many there have been, by what kind of failure, and the wait before the next, s."""

    def answered(self, result: object) -> None:
        """Note what the router answered."""


try:
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:

    @contextmanager
    def calling(request: Request[Any]) -> Iterator[Call]:
        """Give a call that nobody traces: OpenTelemetry is not installed."""
        yield Call()

else:
    # This propagator, not the process's: baggage may hold what is nobody else's business.
    _propagator = TraceContextTextMapPropagator()

    class TracedCall(Call):
        def __init__(self, span: trace.Span) -> None:
            self._span = span

        def headers(self) -> dict[str, str]:
            headers: dict[str, str] = {}
            _propagator.inject(headers)
            return headers

        def retried(self, failures: int, cause: str, delay: float) -> None:
            self._span.add_event("retry", {"error.type": cause, "vsrt.delay": delay})
            self._span.set_attribute("http.request.resend_count", failures)

        def answered(self, result: object) -> None:
            if isinstance(result, Receipt):
                self._span.set_attributes(_receipt(result))
            elif isinstance(result, list):
                self._span.set_attributes(_batch(result))

    @contextmanager
    def calling(request: Request[Any]) -> Iterator[Call]:
        """Put a call under a span of its own."""
        tracer = trace.get_tracer("videosite_realtime")
        kind = trace.SpanKind.CLIENT if request.body is None else trace.SpanKind.PRODUCER
        span = tracer.start_span(_name(request), kind=kind, attributes=_attributes(request))
        # Recorded by themselves, exceptions would have their texts, and those what somebody wrote.
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield TracedCall(span)
            except BaseException as exc:
                span.set_attribute("error.type", type(exc).__name__)
                if isinstance(status := getattr(exc, "status", None), int):
                    span.set_attribute("http.response.status_code", status)
                span.set_status(trace.Status(trace.StatusCode.ERROR))
                raise

    def _name(request: Request[Any]) -> str:
        return f"{request.method} {request.path}" if request.body is None else f"send {_destination(request)}"

    def _destination(request: Request[Any]) -> str:
        return request.path.removeprefix("/api/v1/").partition("/")[0]

    def _attributes(request: Request[Any]) -> dict[str, str]:
        if request.body is None:
            return {"http.request.method": request.method}
        return {
            "messaging.system": "vsrt",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": _destination(request),
        }

    def _receipt(receipt: Receipt) -> dict[str, str | int | bool]:
        found: dict[str, str | int | bool] = {
            "vsrt.nodes": receipt.nodes,
            "vsrt.online": receipt.online,
        }
        if receipt.id is not None:
            stream, _, position = receipt.id.rpartition(".")
            found["messaging.message.id"] = receipt.id if stream in ("admin", "all") else position
        return found

    def _batch(results: Sequence[ItemResult]) -> dict[str, int]:
        refused = sum(result.receipt is None for result in results)
        return {"messaging.batch.message_count": len(results), "vsrt.refused": refused}
