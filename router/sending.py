"""The ``send`` span of a publish: from the parsed request to Redis's answer.

It begins before the call claims its idempotency key, because the envelope's ``traceparent`` names this span. If the
call fails, the span ends together with the request's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opentelemetry.trace import Span, SpanKind

from router.operations import KeyReused
from shared import spans
from shared.messages import TYPED
from shared.tracing import Attributes, known_context, traceparent_of

if TYPE_CHECKING:
    from router.order import Order, Outcome
    from shared.traced_http import HttpTrace


class Sending:
    """The span of a sampled publish."""

    def __init__(self, trace: HttpTrace) -> None:
        self._span = begin_send(trace)
        self.traceparent = traceparent_of(self._span)

    def sent(self, orders: Sequence[Order], outcomes: Sequence[Outcome | KeyReused], *, batch: bool) -> None:
        """Record what became of a call's messages, and end the span."""
        span = self._span
        audience = spans.destination(spans.audience_of(target.stream) for order in orders for target in order.targets)
        span.update_name(f"{spans.SEND} {audience}".strip())
        done = [outcome for outcome in outcomes if not isinstance(outcome, KeyReused)]
        span.set_attributes(
            {
                **({spans.DESTINATION: audience} if audience else {}),
                spans.NODES: max((outcome.nodes for outcome in done), default=0),
                spans.ONLINE: any(outcome.online for outcome in done),
                spans.BODY_SIZE: sum(len(order.message.payload) + 1 for order in orders),
                **({spans.BATCH_COUNT: len(orders)} if batch else _of_one(orders[0], outcomes[0])),
            }
        )
        if conflicts := len(outcomes) - len(done):
            span.set_attribute(spans.CONFLICTS, conflicts)
        self._tell_replays(orders)
        span.end()

    def _tell_replays(self, orders: Sequence[Order]) -> None:
        """Link to the first calls under keys that are repeated here: their messages carry their spans, not ours."""
        firsts = [order.origin.traceparent for order in orders if order.origin.traceparent != self.traceparent]
        if firsts:
            self._span.set_attribute(spans.REPLAYS, len(firsts))
        for first in dict.fromkeys(firsts):
            if (context := known_context(first)) is not None:
                self._span.add_link(context)


def begin_send(trace: HttpTrace, destination: str = "") -> Span:
    """Begin a ``send`` span; where its messages go may be known later."""
    attributes: dict[str, str] = {
        spans.MESSAGING_SYSTEM: spans.SYSTEM,
        spans.OPERATION_NAME: spans.SEND,
        spans.OPERATION_TYPE: spans.SEND,
    }
    if destination:
        attributes[spans.DESTINATION] = destination
    return trace.begin(f"{spans.SEND} {destination}".strip(), SpanKind.PRODUCER, attributes)


def _of_one(order: Order, outcome: Outcome | KeyReused) -> Attributes:
    message = order.message
    found: dict[str, str | int] = {spans.MESSAGE_TYPE: message.type if message.type in TYPED else "custom"}
    if message.state is not None:
        found[spans.VIDEO_ID] = message.state.video_id
    if not isinstance(outcome, KeyReused) and (event_id := outcome.ids.get(order.targets[0].label)):
        stream, _, position = event_id.rpartition(".")
        found[spans.MESSAGE_ID] = spans.event_name(stream, position)
    return found
