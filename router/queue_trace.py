"""The span of a queue entry, below its producer's: from being taken to being settled."""

from __future__ import annotations

from typing import Final

from opentelemetry.trace import SpanKind

from router.lean_route import Call
from router.order import Order, Outcome
from router.sending import Sending
from shared import spans
from shared.trace_context import traceparent
from shared.traced_http import HttpTrace
from shared.tracing import Attributes, Tracing

_ATTRIBUTES: Final[Attributes] = {
    spans.MESSAGING_SYSTEM: spans.SYSTEM,
    spans.OPERATION_NAME: "process",
    spans.OPERATION_TYPE: "process",
    spans.DESTINATION: spans.QUEUE,
}


class QueueTrace:
    """The span of an entry; does nothing if it is not sampled.

    Attributes:
        traceparent: under which its message travels on.
    """

    def __init__(self, tracing: Tracing | None, call: Call, waited: float) -> None:
        header = call.header(b"traceparent")
        self._trace: HttpTrace | None = None
        self._sending: Sending | None = None
        if tracing is None:
            self.traceparent = traceparent(header)
            return
        entered = tracing.enter(spans.TAKE, SpanKind.CONSUMER, header)
        if isinstance(entered, str):
            self.traceparent = entered
            return
        entered.set_attributes({**_ATTRIBUTES, spans.WAITED: waited})
        self._trace = HttpTrace(tracing, entered)
        self._sending = Sending(self._trace)
        self.traceparent = self._sending.traceparent

    def published(self, order: Order, outcome: Outcome) -> None:
        if self._trace is not None and self._sending is not None:
            self._sending.sent([order], [outcome], batch=False)
            self._trace.end(None, is_ours=False)

    def failed(self, reason: str) -> None:
        """End the span of an entry that was not published, with a reason out of a small set."""
        if self._trace is not None:
            self._trace.end(reason, is_ours=True)
