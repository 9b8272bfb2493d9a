"""The ``process`` spans: what a sampled message became on this node.

There is one span per publish and trace, however many messages and sockets it concerned: the messages of a batch to
users of this node arrive in one publish, and are one span. If no session here belongs to the audience, there is none.

| the message | its span |
| --- | --- |
| arrives on the bus and is the next | ``source`` is ``bus`` |
| was missed on the bus, and is read from history | ``source`` is ``history``; its trace was kept there |
| arrives again | none: it has one |
| is read from history for one client that was away or slow | none: there would be one for each such client |
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opentelemetry.trace import SpanKind

from shared import envelope, spans
from shared.tracing import Attributes, Tracing, known_context

if TYPE_CHECKING:
    from node.acks import Acknowledgements
    from node.connection_manager import ConnectionManager
    from node.counters import NodeCounters
    from node.feed import Feed
    from node.history import Entry
    from node.session import Session
    from shared.ids import Position


@dataclass(slots=True)
class Delivery:
    """What has become of the messages of one trace so far.

    Attributes:
        ended_ns: when the last socket was written.
        name: of its one message, as a trace may tell it.
    """

    source: str
    started_ns: int
    ended_ns: int = 0
    audiences: set[str] = field(default_factory=set)
    messages: int = 0
    name: str = ""
    written: int = 0
    failed: int = 0
    behind: int = 0
    expired: int = 0
    ended_connections: int = 0
    asked: Session | None = None  # who is to say when the message was seen


@dataclass(slots=True)
class _Before:
    """How things stood before a message was taken."""

    top: Position | None
    delivered: int
    stale: int
    expired: int
    sessions: int
    live: int


class Deliveries:
    """Notes what becomes of sampled messages, and makes their spans.

    Args:
        counters: those of the feeds: their difference before and after a message shows what it did.
    """

    def __init__(self, tracing: Tracing, counters: NodeCounters, acks: Acknowledgements) -> None:
        self._tracing, self._counters, self._acks = tracing, counters, acks
        self._open: dict[str, Delivery] = {}

    def hear(
        self, connections: ConnectionManager, message: envelope.Envelope, take: Callable[[envelope.Envelope], None]
    ) -> None:
        """Pass on a sampled message from the bus, and note what came of it; ``flush`` follows after the publish."""
        if message.kind == envelope.CONTROL:
            self._hear_order(connections, message, take)
            return
        feed = connections.feed(message.stream.decode())
        if feed is None or not feed.sessions:
            take(message)
            return
        started, before = time.time_ns(), self._look(feed)
        take(message)
        is_state = message.kind == envelope.STATE
        if self._counters.stale == before.stale if is_state else feed.top is not before.top:
            delivery = self._delivery(message.traceparent.decode(), spans.BUS, started)
            written = self._counters.delivered - before.delivered
            if written and (trace := known_context(message.traceparent.decode())) is not None:
                feed.times.exemplify(message.payload, message.published_at, trace)
            self._note(delivery, feed, before, "" if is_state else message.position.decode(), written)

    def repair(self, feed: Feed, entry: Entry, take: Callable[[Position, bytes, int | None], int]) -> int:
        """Pass on an event that was missed on the bus and read from history; return to how many sessions it went."""
        started, before = time.time_ns(), self._look(feed)
        written = take(entry.position, entry.payload, entry.expires_at)
        if entry.trace is not None and feed.sessions:
            delivery = self._delivery(entry.trace.decode(), spans.HISTORY, started)
            self._note(delivery, feed, before, str(entry.position), written)
        return written

    def flush(self) -> None:
        """Make the spans of the messages noted since the last time."""
        if self._open:
            taken, self._open = self._open, {}
            for trace, delivery in taken.items():
                self._tell(trace, delivery)

    def _hear_order(
        self, connections: ConnectionManager, message: envelope.Envelope, take: Callable[[envelope.Envelope], None]
    ) -> None:
        started, before = time.time_ns(), len(connections.all.sessions)
        take(message)
        ended = before - len(connections.all.sessions)
        if ended:
            delivery = self._delivery(message.traceparent.decode(), spans.BUS, started)
            delivery.audiences.add(spans.CONTROL)
            delivery.messages += 1
            delivery.ended_connections += ended
            delivery.ended_ns = time.time_ns()

    def _delivery(self, trace: str, source: str, started: int) -> Delivery:
        delivery = self._open.get(trace)
        if delivery is None:
            delivery = self._open[trace] = Delivery(source, started)
        return delivery

    def _look(self, feed: Feed) -> _Before:
        counters = self._counters
        live = sum(session.live for session in feed.sessions)
        return _Before(feed.top, counters.delivered, counters.stale, counters.expired, len(feed.sessions), live)

    def _note(self, delivery: Delivery, feed: Feed, before: _Before, position: str, written: int) -> None:
        delivery.ended_ns = time.time_ns()
        delivery.audiences.add(spans.audience_of(feed.stream))
        delivery.messages += 1
        delivery.name = spans.event_name(feed.stream, position) if position else ""
        if self._counters.expired != before.expired:
            delivery.expired += 1
            return
        delivery.written += written
        delivery.failed += before.live - written
        delivery.behind += before.sessions - before.live
        delivery.asked = next(filter(self._acks.may_ask, feed.sessions), delivery.asked)

    def _tell(self, trace: str, delivery: Delivery) -> None:
        parent = known_context(trace)
        if parent is None:
            return
        audience = spans.destination(delivery.audiences)
        span = self._tracing.span(
            f"{spans.PROCESS} {audience}",
            SpanKind.CONSUMER,
            parent,
            links=[parent],
            attributes=_attributes(delivery, audience),
            start_ns=delivery.started_ns,
        )
        if not delivery.ended_connections:
            span.add_event(spans.DELIVERED, timestamp=delivery.ended_ns)
        span.end(delivery.ended_ns)
        if delivery.asked is not None:
            self._acks.ask(delivery.asked, span.get_span_context(), delivery.ended_ns)


def _attributes(delivery: Delivery, audience: str) -> Attributes:
    attributes: dict[str, str | int] = {
        spans.MESSAGING_SYSTEM: spans.SYSTEM,
        spans.OPERATION_NAME: spans.PROCESS,
        spans.OPERATION_TYPE: spans.PROCESS,
        spans.DESTINATION: audience,
        spans.SOURCE: delivery.source,
    }
    if delivery.ended_connections:
        return attributes | {spans.CONNECTIONS: delivery.ended_connections}
    attributes |= {spans.WRITTEN: delivery.written, spans.FAILED: delivery.failed, spans.BEHIND: delivery.behind}
    if delivery.messages > 1:
        attributes[spans.BATCH_COUNT] = delivery.messages
    elif delivery.name:
        attributes[spans.MESSAGE_ID] = delivery.name
    if delivery.expired:
        attributes[spans.EXPIRED] = delivery.expired
    return attributes
