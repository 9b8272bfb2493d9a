"""The newest traces, bounded in number and size: the oldest go."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from videosite_realtime_cli.traces.span import Span

SPANS_MAX = 20_000  # about 40 MB
SPANS_PER_TRACE = 5_000  # a job that goes on for hours may have no end of them


class Store:
    """Spans by trace, as they come.

    Attributes:
        dropped: spans that were left out, for their trace is too long, and those of traces that had to go.
    """

    def __init__(self, spans_max: int = SPANS_MAX, spans_per_trace: int = SPANS_PER_TRACE) -> None:
        self._max, self._per_trace = spans_max, spans_per_trace
        self._traces: OrderedDict[str, list[Span]] = OrderedDict()  # what has heard news last is at its end
        self._count = 0
        self.dropped = 0

    def add(self, spans: Iterable[Span]) -> None:
        for span in spans:
            kept = self._traces.setdefault(span.trace_id, [])
            self._traces.move_to_end(span.trace_id)
            if len(kept) >= self._per_trace:
                self.dropped += 1
                continue
            kept.append(span)
            self._count += 1
        while self._count > self._max:
            _, gone = self._traces.popitem(last=False)
            self._count -= len(gone)
            self.dropped += len(gone)

    def find(self, beginning: str) -> list[list[Span]]:
        """Return the traces whose id begins so."""
        if beginning in self._traces:
            return [list(self._traces[beginning])]
        return [list(spans) for trace_id, spans in self._traces.items() if trace_id.startswith(beginning)]

    def newest(self) -> Iterator[list[Span]]:
        """Yield the traces, those with the latest news first."""
        for spans in reversed(self._traces.values()):
            yield list(spans)
