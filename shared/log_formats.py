"""How a log record becomes a line: JSON for machines, or text for people at a terminal.

Both show the same: when, how bad, who, the event, its fields, its trace; and of both hold the same rules: no
credentials, no names of users unless they were asked for, one line per record.
"""

from __future__ import annotations

import json
import logging
import re
import time
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import PydanticSerializationError, to_json

from shared import trace_context
from shared.audit import AUDIT
from shared.exception_text import exception_text
from shared.flood import FLOOD_KEY
from shared.redaction import Redactor

_NOT_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    *("message", "asctime", "color_message", "taskName"),
    FLOOD_KEY,
}
_TEXT_MAX: Final = 2000  # characters of a field
_QUERY: Final = re.compile(r"\?[^\s\"']+")
_ODD: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_PLAIN: Final = re.compile(r"[^\s\"=]+")
_COLOURS: Final = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}


@dataclass(frozen=True, slots=True)
class Source:
    """Who logs: a node or a router, its name, its version."""

    service: str
    instance: str
    version: str


class _Formatter(logging.Formatter):
    """What both formats have in common.

    Args:
        show_users: whether fields that name users are shown outside of the audit.
    """

    def __init__(self, source: Source, redactor: Redactor, *, show_users: bool = False) -> None:
        super().__init__()
        self._source, self._redactor, self._show_users = source, redactor, show_users

    def _event(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.name.startswith("uvicorn"):
            text = _QUERY.sub("", text)  # a path of its own may have a token behind it
        return text[:_TEXT_MAX].strip()

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        shown = self._show_users or record.name == AUDIT
        fields: dict[str, Any] = {}
        for name, value in vars(record).items():
            if name in _NOT_FIELDS or value is None or (name == "user" and not shown):
                continue
            if name == "stream" and not shown and str(value).startswith("u."):
                fields[name] = "user"  # a user's stream is named after it
                continue
            fields[name] = value[:_TEXT_MAX] if isinstance(value, str) else value
        trace_context.add_ids(fields)
        return fields

    def _exception(self, record: logging.LogRecord) -> str | None:
        if record.exc_info and record.exc_info[1] is not None:
            return exception_text(record.exc_info[1])
        return None


class JsonFormatter(_Formatter):
    """One JSON object per line; see docs/logging.md for its fields."""

    def format(self, record: logging.LogRecord) -> str:
        source = self._source
        event: dict[str, Any] = {
            "time": _utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": self._event(record),
            "service": source.service,
            "instance": source.instance,
            "version": source.version,
        }
        for name, value in self._fields(record).items():
            event.setdefault(name, value)
        if (exception := self._exception(record)) is not None:
            event["exception"] = exception
        line = _json(event)
        if self._redactor.suspects(line):  # seldom; not in the JSON itself, which could be cut in the wrong place
            line = _json(self._redactor.value(event))
        return line if line.isprintable() else _ODD.sub(_escaped, line)


class TextFormatter(_Formatter):
    """One readable line, by the local clock; a traceback follows on lines of its own."""

    def __init__(self, source: Source, redactor: Redactor, *, show_users: bool = False, colour: bool = False) -> None:
        super().__init__(source, redactor, show_users=show_users)
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        moment = f"{time.strftime('%H:%M:%S', time.localtime(record.created))}.{int(record.msecs):03d}"
        level = record.levelname.lower()
        hide = self._redactor
        event = _ODD.sub(_escaped, hide.text(self._event(record)))
        shown = {name: hide.value(value) for name, value in self._fields(record).items() if name != "span_id"}
        fields = "".join(f" {name}={_legible(value)}" for name, value in shown.items())
        padded = f"{level:<7}"
        if self._colour:
            moment, fields = _painted(moment, "2"), _painted(fields, "2")
            padded, event = _painted(padded, _COLOURS.get(level, "0")), _painted(event, "1")
        line = f"{moment} {padded} {record.name} · {event}{fields}"
        if (exception := self._exception(record)) is not None:
            line += "\n" + "\n".join(_ODD.sub(_escaped, each) for each in hide.text(exception).splitlines())
        return line


def _utc(seconds: float) -> str:
    """Return RFC 3339 in UTC with ms."""
    ms = int(seconds * 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(ms // 1000))}.{ms % 1000:03d}Z"


def _json(event: dict[str, Any]) -> str:
    try:
        return to_json(event, inf_nan_mode="strings", fallback=str, bytes_mode="utf8").decode()
    except (PydanticSerializationError, ValueError):  # half a surrogate pair, from a path for example
        return json.dumps(event, default=str)


def _legible(value: Any) -> str:
    """Return a value as it stands in a line for people: text in quotes where it would not be one word."""
    if isinstance(value, str) and not (_PLAIN.fullmatch(value) and value.isprintable()):
        value = json.dumps(value, ensure_ascii=False)
    text = value if isinstance(value, str) else _json(value)
    return _ODD.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _painted(text: str, colour: str) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if text else text
