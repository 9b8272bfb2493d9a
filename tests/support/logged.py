"""The events of ``docs/logging.md``, and the lines of a process that logs JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "logging.md"
SCHEMA = PAGE.with_name("audit.schema.json")
OF_EVERY_LINE = {"time", "level", "logger", "event", "service", "instance", "version"}
OF_ANY_LINE = {"trace_id", "span_id", "suppressed", "exception"}

Line = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """A row of the page's tables."""

    name: str
    levels: frozenset[str]
    fields: frozenset[str]
    service: str


def documented() -> dict[str, Event]:
    """Return the page's events by name. The audit's fields are those of its schema."""
    events: dict[str, Event] = {}
    for title, service in (("Of both", "both"), ("Of a node", "node"), ("Of a router", "router")):
        section = PAGE.read_text().partition(f"### {title}\n")[2].partition("\n#")[0]
        for name, levels, fields in re.findall(r"^\| `([^`]+)` \|([^|]*)\|([^|]*)\|.*\|$", section, re.M):
            assert name not in events, f"{name} is listed twice"
            words = frozenset(re.findall(r"`([a-z_]+)`", fields))
            if name == "audit":
                words = frozenset(json.loads(SCHEMA.read_text())["properties"])
            events[name] = Event(name, frozenset(levels.strip().split(", ")), words, service)
    return events


def lines_of(text: str) -> list[Line]:
    """Return a log's lines; every one must be JSON with what every line has."""
    return list(_read(text))


def _read(text: str) -> Iterator[Line]:
    for line in text.split("\n")[:-1]:
        try:
            said = json.loads(line, parse_constant=_refuse)
        except ValueError as exc:
            raise AssertionError(f"no JSON: {line}") from exc
        assert said.keys() >= OF_EVERY_LINE, line
        yield said


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
