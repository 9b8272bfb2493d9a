"""From spans to the hops of a message, and how long they take.

caller's span ─call─▶ router's span ─accept─▶ `send` ─publish─▶ `process` ─deliver─▶ last socket ─display─▶ the eye

| hop | from | to | what happens |
| --- | --- | --- | --- |
| call | the caller's span begins | the router's begins | HTTP request, connection |
| accept | the router's span begins | `send` begins | body read, caller judged, message checked |
| publish | `send` begins | `process` begins | the key claimed, the script in Redis, the bus |
| deliver | `process` begins | `process` ends | frame built, sockets written |
| display | `process` ends | `display` ends | network, browser; of clients that acknowledge |
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from videosite_realtime_cli.traces.span import Span

HOPS = ("call", "accept", "publish", "deliver", "display")
TOTAL = "total"

Journey = dict[str, int]
"""Of one message to one node: ns by hop, and in all. A hop whose spans are not there is left out."""


def journeys(trace: Iterable[Span]) -> Iterator[Journey]:
    """Yield a journey for every node that a message of this trace came to."""
    spans = {span.span_id: span for span in trace}
    children: dict[str, list[Span]] = {}
    for span in spans.values():
        children.setdefault(span.parent_id, []).append(span)
    for process in spans.values():
        send = spans.get(process.parent_id)
        if process.kind == "consumer" and process.name.startswith("process") and send is not None:
            displays = [span for span in children.get(process.span_id, ()) if span.name == "display"]
            yield _journey(process, send, spans, displays)


def _journey(process: Span, send: Span, spans: dict[str, Span], displays: Sequence[Span]) -> Journey:
    server = spans.get(send.parent_id)
    caller = spans.get(server.parent_id) if server is not None else None
    marks = [("publish", send.start_ns), ("deliver", process.start_ns), ("display", process.end_ns)]
    if server is not None:
        marks.insert(0, ("accept", server.start_ns))
    if caller is not None:
        marks.insert(0, ("call", caller.start_ns))
    if displays:
        marks.append(("", max(span.end_ns for span in displays)))
    found = {hop: until - at for (hop, at), (_, until) in pairwise(marks)}
    return {**found, TOTAL: marks[-1][1] - marks[0][1]}


def percentile(values: Sequence[float], share: float) -> float:
    """Return the least value that this share of all does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]
