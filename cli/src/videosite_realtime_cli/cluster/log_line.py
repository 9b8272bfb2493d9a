"""A line of a part's log as a terminal shows it: what matters in colour, the rest dim.

Nodes and routers write text here, or JSON where ``LOG_FORMAT=json`` asks for it; both look alike. Of other lines
(Valkey's, the rest of a traceback) nothing is known, and they are shown as they are.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from rich.text import Text

from videosite_realtime_cli.terminal import legible

GRAVE = frozenset({"warning", "error", "critical"})
_STYLES = {"debug": "dim", "info": "green", "warning": "yellow", "error": "red", "critical": "bold red"}
_LINE = re.compile(r"(\d\d:\d\d:\d\d\.\d{3}) (debug|info|warning|error|critical) +(\S+) · (.*?)((?: [a-z_]+=.*)?)")
_SHOWN_ELSEWHERE = ("time", "level", "logger", "event", "service", "instance", "version", "span_id")


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line taken apart; ``fields`` begins with a space or is empty."""

    time: str
    level: str
    logger: str
    event: str
    fields: str

    @classmethod
    def read(cls, line: str) -> LogLine | None:
        """Return the line's parts; None for one that no node or router has begun."""
        if match := _LINE.fullmatch(line):
            return cls(*match.groups())
        return _from_json(line) if line.startswith("{") else None

    def text(self) -> Text:
        return Text.assemble(
            (f"{legible(self.time)} ", "dim"),
            (f"{self.level:<7} ", _STYLES.get(self.level, "")),
            (f"{legible(self.logger)} · ", "dim"),
            (legible(self.event), "bold" if self.level in GRAVE else ""),
            (legible(self.fields), "dim"),
        )


def _from_json(line: str) -> LogLine | None:
    try:
        said = json.loads(line)
        time, level, logger, event = (str(said[name]) for name in _SHOWN_ELSEWHERE[:4])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    rest = {name: value for name, value in said.items() if name not in _SHOWN_ELSEWHERE}
    fields = "".join(
        f" {name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in rest.items()
    )
    return LogLine(time.partition("T")[2].removesuffix("Z") or time, level, logger, event, fields)
