"""Which requests are traced, and the spans of those that are.

The decision is made once, where a trace enters the cluster: by the caller's flag or by the sampler, before there is a
span. It travels as the flag of ``traceparent``. What is not sampled costs a comparison and never has a span object.

Nothing of OpenTelemetry's SDK is imported here; ``shared/trace_export.py`` does that where traces are wanted.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from shared.spans import ERROR_TYPE
from shared.trace_context import TRACEPARENT

Attributes = Mapping[str, AttributeValue]

_NOWHERE: Final = Context()  # spans here have the parents they are given, never one that happens to be about
_LOW_64: Final = (1 << 64) - 1
SAMPLED_ENDS: Final = frozenset(b"13579bdf")  # last byte of a traceparent whose sampled flag is set


@dataclass(frozen=True, slots=True)
class Sampling:
    """OpenTelemetry's samplers, reduced to two numbers.

    Attributes:
        bound: a trace is sampled if the low 64 bits of its id are below it, as in ``TraceIdRatioBased``; so services
            that sample at one ratio choose the same traces.
        follows_parent: a caller's flag decides where there is one.
    """

    bound: int
    follows_parent: bool

    def chooses(self, trace_id: int) -> bool:
        return trace_id & _LOW_64 < self.bound


class ChosenIds(Protocol):
    """Where the SDK gets the ids of new traces from: we have to know them before it makes a span."""

    trace_id: int


@dataclass(slots=True)
class SpanCounts:
    """What became of the spans that ended.

    Attributes:
        queued: those that found room; ``taken``: those of them that the exporter has had.
        dropped: those that found the queue full; ``failed``: those that the collector did not take.
    """

    queued: int = 0
    taken: int = 0
    exported: int = 0
    dropped: int = 0
    failed: int = 0

    @property
    def lost(self) -> int:
        return self.dropped + self.failed


class Tracing:
    """Decides what is sampled, and makes spans; one per process.

    Args:
        tracer: of a provider that samples everything: whoever asks it for a span has decided.
        hears_callers: a caller's ``traceparent`` is continued.
    """

    def __init__(
        self,
        tracer: Tracer,
        ids: ChosenIds,
        sampling: Sampling,
        counts: SpanCounts,
        *,
        hears_callers: bool = True,
    ) -> None:
        self.counts = counts
        self._tracer, self._ids, self._sampling, self._hears_callers = tracer, ids, sampling, hears_callers

    def enter(self, name: str, kind: SpanKind, header: str | None = None) -> Span | str:
        """Decide where a trace enters the cluster.

        Args:
            header: the caller's ``traceparent``; a malformed one counts as none.

        Returns:
            A span that has begun, or the ``traceparent`` under which a request goes on that is not sampled. A trace
            that begins here has the id by which it was decided: whoever samples by ids too comes to the same.
        """
        sampling = self._sampling
        if header is None or not self._hears_callers or not TRACEPARENT.fullmatch(header):
            trace_id = random.getrandbits(128) or 1  # names, no secrets
            if sampling.chooses(trace_id):
                return self._root(name, kind, trace_id)
            return f"00-{trace_id:032x}-{random.getrandbits(64) or 1:016x}-00"
        if is_sampled(header) if sampling.follows_parent else sampling.chooses(int(header[3:35], 16)):
            return self.span(name, kind, context_of(header))
        return header[:-2] + "00" if is_sampled(header) else header

    def begin(self, name: str, kind: SpanKind, header: str | None = None) -> Span | None:
        """Like ``enter``, for work that is not passed on; None if it is not sampled."""
        entered = self.enter(name, kind, header)
        return None if isinstance(entered, str) else entered

    def begin_rare(self, name: str, kind: SpanKind) -> Span | None:
        """Begin a trace of something that happens once in a process's life: sampled unless nothing ever is."""
        return self._root(name, kind, random.getrandbits(64) << 64 or 1 << 64) if self._sampling.bound else None

    def _root(self, name: str, kind: SpanKind, trace_id: int) -> Span:
        self._ids.trace_id = trace_id
        return self._tracer.start_span(name, _NOWHERE, kind)

    def span(
        self,
        name: str,
        kind: SpanKind,
        parent: SpanContext,
        *,
        links: Sequence[SpanContext] = (),
        attributes: Attributes | None = None,
        start_ns: int | None = None,
    ) -> Span:
        """Begin a span of a trace that is sampled; ``start_ns`` is its beginning, if it lies in the past."""
        context = set_span_in_context(NonRecordingSpan(parent), _NOWHERE)
        return self._tracer.start_span(name, context, kind, attributes, [Link(each) for each in links], start_ns)


def is_sampled(traceparent: str) -> bool:
    return ord(traceparent[-1]) in SAMPLED_ENDS


def context_of(traceparent: str) -> SpanContext:
    """Return what a well-formed ``traceparent`` names."""
    flags = TraceFlags(int(traceparent[53:55], 16))
    return SpanContext(int(traceparent[3:35], 16), int(traceparent[36:52], 16), is_remote=True, trace_flags=flags)


def known_context(traceparent: str) -> SpanContext | None:
    """Return what a ``traceparent`` names; None for what is none."""
    return context_of(traceparent) if TRACEPARENT.fullmatch(traceparent) else None


def traceparent_of(span: Span) -> str:
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def fail(span: Span, error: str) -> None:
    """Mark a span as failed. ``error`` is a word of a small set: a text could quote somebody's message."""
    span.set_attribute(ERROR_TYPE, error)
    span.set_status(Status(StatusCode.ERROR))
