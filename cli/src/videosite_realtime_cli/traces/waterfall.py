"""One trace as lines of a terminal: each span with its process, its beginning, its time, a bar, and what it tells.

router-1      POST /api/v1/notifications   0.00 ms   2.31 ms  ━━━━━━━━━━━━━━━━━━━━━━━━
                202
router-1      └─ send admin                0.41 ms   1.63 ms      ━━━━━━━━━━━━━━━━━
                   transcode_complete · video 123 · 2 nodes
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from rich.table import Table
from rich.text import Text

from videosite_realtime_cli.terminal import counted, legible
from videosite_realtime_cli.traces.span import Span

BAR_WIDTH = 32
_COLOURS = {"producer": "yellow", "server": "blue", "client": "blue", "consumer": "green", "internal": "cyan"}
_OURS = "vsrt."
_TOLD = {
    "http.response.status_code": "{}",
    _OURS + "message.type": "{}",
    _OURS + "video_id": "video {}",
    "messaging.batch.message_count": "{} messages",
    "messaging.message.id": "{}",
    _OURS + "nodes": "handed to {} node(s)",
    _OURS + "replays": "{} said before",
    _OURS + "conflicts": "{} keys reused",
    _OURS + "refused": "{} refused",
    "http.request.resend_count": "{} retries",
    _OURS + "sockets.written": "{} socket(s) written",
    _OURS + "sockets.failed": "{} failed",
    _OURS + "sockets.behind": "{} behind",
    _OURS + "expired": "{} expired",
    _OURS + "endpoint": "{}",
    _OURS + "result": "{}",
    _OURS + "close.code": "{}",
    _OURS + "close.reason": "{}",
    _OURS + "connections": "{} connection(s)",
    "error.type": "error {}",
}
_ONLY_IF_ANY = {_OURS + "sockets.failed", _OURS + "sockets.behind", _OURS + "conflicts", _OURS + "refused"}


def header(trace: Sequence[Span]) -> Text:
    """Return one line about the whole."""
    begun, ended = _extent(trace)
    when = datetime.fromtimestamp(begun / 1e9).astimezone()
    processes = len({(span.service, span.instance) for span in trace})
    size = f"{counted(len(trace), 'span')} of {processes} process{'' if processes == 1 else 'es'}"
    return Text.assemble(
        ("trace ", "bold"), trace[0].trace_id, (f"  {when:%H:%M:%S}  {size}, {duration(ended - begun)} in all", "dim")
    )


def waterfall(trace: Sequence[Span], limit: int) -> Table:
    """Return the spans as a tree over time, ``limit`` of them at most."""
    begun, ended = _extent(trace)
    table = Table(box=None, pad_edge=False, header_style="dim", show_edge=False)
    table.add_column("process", style="dim", no_wrap=True)
    table.add_column("span", no_wrap=True)
    table.add_column("begins", justify="right", no_wrap=True)
    table.add_column("takes", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, width=BAR_WIDTH)
    rows = list(_tree(trace))
    for span, branch, below in rows[:limit]:
        table.add_row(
            Text(legible(span.process)),
            Text.assemble((branch, "dim"), (legible(span.name), "bold red" if span.status == "error" else "")),
            duration(span.start_ns - begun),
            duration(span.duration_ns),
            _bar(span, begun, ended - begun),
        )
        if told := _told(span):
            table.add_row("", Text(f"{below}{told}", "dim", overflow="ellipsis"))
    if len(rows) > limit:
        table.add_row("", Text(f"… {len(rows) - limit} more; --all shows them", "dim"))
    return table


def duration(ns: float) -> str:
    if abs(ns) >= 1e9:
        return f"{ns / 1e9:.2f} s"
    return f"{ns / 1e6:.2f} ms"


def root_of(trace: Sequence[Span]) -> Span:
    """Return the span it begins with, as far as it has come."""
    known = {span.span_id for span in trace}
    return min(trace, key=lambda span: (span.parent_id in known, span.start_ns))


def is_of_a_message(trace: Iterable[Span]) -> bool:
    return any(span.kind == "producer" for span in trace)


def _extent(trace: Sequence[Span]) -> tuple[int, int]:
    return min(span.start_ns for span in trace), max(span.end_ns for span in trace)


def _tree(trace: Sequence[Span]) -> Iterator[tuple[Span, str, str]]:
    """Yield each span after its parent, with the branch it hangs on, and what goes before what is said of it."""
    known = {span.span_id for span in trace}
    children: dict[str, list[Span]] = {}
    for span in sorted(trace, key=lambda span: span.start_ns):
        children.setdefault(span.parent_id if span.parent_id in known else "", []).append(span)
    # Not recursive: nothing says how deep somebody's trace is. Each span once: nothing says that it is a tree.
    waiting = [(span, "", "") for span in reversed(children.pop("", []))]
    while waiting:
        span, branch, trunk = waiting.pop()
        below = children.pop(span.span_id, [])
        yield span, branch, trunk + ("│  " if below else "   ")
        for index, child in enumerate(reversed(below)):
            last = index == 0
            waiting.append((child, f"{trunk}{'└─ ' if last else '├─ '}", trunk + ("   " if last else "│  ")))


def _bar(span: Span, begun: int, whole: int) -> Text:
    if whole <= 0:
        return Text("━" * BAR_WIDTH, _COLOURS.get(span.kind, ""))
    first = min(int((span.start_ns - begun) / whole * BAR_WIDTH), BAR_WIDTH - 1)
    length = max(round(span.duration_ns / whole * BAR_WIDTH), 1)
    return Text.assemble(" " * first, ("━" * min(length, BAR_WIDTH - first), _COLOURS.get(span.kind, "")))


def _told(span: Span) -> str:
    """Return what a span tells, in the order of a message's life; links by the beginning of what they lead to."""
    parts = [
        text.format(legible(str(span.attributes[name])))
        for name, text in _TOLD.items()
        if name in span.attributes and (span.attributes[name] or name not in _ONLY_IF_ANY)
    ]
    if span.attributes.get(_OURS + "source") == "history":
        parts.append("read from history: the bus did not bring it")
    elsewhere = [link for link in span.links if link.span_id != span.parent_id]
    parts += [f"linked to {link.trace_id[:8]}…/{link.span_id}" for link in elsewhere]
    return " · ".join(parts)
