"""One trace as lines of a terminal: each span with its process, its beginning, its time, a bar, and what it tells.

router-1      POST /api/v1/notifications   0.00 ms   2.31 ms  ━━━━━━━━━━━━━━━━━━━━━━━━
                202
router-1      └─ send admin                0.41 ms   1.63 ms      ━━━━━━━━━━━━━━━━━
                   transcode_complete · video 123 · 2 nodes
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from videosite_realtime_cli.terminal import counted, legible
from videosite_realtime_cli.traces.span import Span

BAR_WIDTH = 32
_BAR_MIN = 12
_NAME_MIN = 12
_PROCESS_WIDTH = 16
_GAP = "  "
_HEADINGS = (
    Text("process", "dim"),
    Text("span", "dim"),
    Text("begins", "dim", justify="right"),
    Text("takes", "dim", justify="right"),
    Text(),
)
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


class Waterfall:
    """The spans as a tree over time, ``limit`` of them at most, in whatever width there is.

    Times and bars are what one came for: where it is narrow, names are cut short. What a span tells has a line of its
    own, and may be as wide as the terminal.
    """

    def __init__(self, trace: Sequence[Span], limit: int) -> None:
        self._rows = list(_tree(trace))
        self._limit = limit
        self._begun, self._ended = _extent(trace)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = self._rows[: self._limit]
        cells = [self._cells(span, branch) for span, branch, _ in shown]
        names, widths = _fit(cells, options.max_width)
        yield _line(_HEADINGS, widths)
        for (span, _, below), row in zip(shown, cells, strict=True):
            yield _line((*row, _bar(span, self._begun, self._ended - self._begun, widths[-1])), widths)
            if told := _told(span):
                yield Text(f"{' ' * names}{below}{told}", "dim", no_wrap=True, overflow="ellipsis")
        if len(self._rows) > self._limit:
            yield Text(f"{' ' * names}… {len(self._rows) - self._limit} more; --all shows them", "dim")

    def _cells(self, span: Span, branch: str) -> tuple[Text, Text, Text, Text]:
        colour = "bold red" if span.status == "error" else ""
        return (
            Text(legible(span.process), "dim"),
            Text.assemble((branch, "dim"), (legible(span.name), colour)),
            Text(duration(span.start_ns - self._begun), justify="right"),
            Text(duration(span.duration_ns), justify="right"),
        )


def _fit(rows: Sequence[Sequence[Text]], width: int) -> tuple[int, tuple[int, ...]]:
    """Return where names begin, and the columns' widths, the bar's among them."""
    natural = [max(row[column].cell_len for row in (*rows, _HEADINGS)) for column in range(4)]
    process, name, begins, takes = min(natural[0], _PROCESS_WIDTH), *natural[1:]
    left = max(width - process - begins - takes - 4 * len(_GAP), _NAME_MIN + _BAR_MIN)
    bar = min(BAR_WIDTH, max(_BAR_MIN, left - name))
    return process + len(_GAP), (process, min(name, left - bar), begins, takes, bar)


def _line(cells: Sequence[Text], widths: Sequence[int]) -> Text:
    return Text(_GAP, no_wrap=True, end="\n").join(_cut(cell, width) for cell, width in zip(cells, widths, strict=True))


def _cut(text: Text, width: int) -> Text:
    fitting = text.copy()
    fitting.truncate(width, overflow="ellipsis")
    fitting.align("right" if text.justify == "right" else "left", width)
    return fitting


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


def _bar(span: Span, begun: int, whole: int, width: int) -> Text:
    if whole <= 0:
        return Text("━" * width, _COLOURS.get(span.kind, ""))
    first = min(int((span.start_ns - begun) / whole * width), width - 1)
    length = max(round(span.duration_ns / whole * width), 1)
    return Text.assemble(" " * first, ("━" * min(length, width - first), _COLOURS.get(span.kind, "")))


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
