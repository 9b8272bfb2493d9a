"""Logs are events with fields: JSON for machines, one readable line on a terminal; never a token.

uvicorn writes the whole path of an upgrade, ``?token=…`` included, at INFO. What looks like a token is taken out of
every record that leaves through our handler, whoever wrote it.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Final

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}
_SECRETS: Final = (
    (re.compile(r"(?i)\b(token|access_token|jwt)=[^&\s\"']+"), r"\1=***"),
    (re.compile(r"(?i)\bbearer[ ,]+[A-Za-z0-9._~+/=-]{8,}"), "bearer ***"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*\.?[A-Za-z0-9_-]*"), "***"),
    (re.compile(r"(rediss?|unix)://[^/\s]*@"), r"\1://***@"),
)


def redact(text: str) -> str:
    """Return the text without tokens and passwords."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        event: dict[str, Any] = {
            "time": moment,
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return redact(json.dumps(event, ensure_ascii=False, default=str))


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")  # a terminal shows local time
        fields = "".join(f" {key}={value}" for key, value in _fields(record).items())
        line = f"{moment} {record.levelname.lower():<7} {record.name} · {record.getMessage()}{fields}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return redact(line)


def configure(level: str, style: str) -> None:
    """Send the logs of this process to stderr. ``style`` is ``json``, ``text`` or ``auto``."""
    handler = logging.StreamHandler(sys.stderr)
    as_text = style == "text" or (style == "auto" and sys.stderr.isatty())
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # httpx writes a line per request; uvicorn says that it runs, we say it with more fields.
    for name, least in (("httpx", logging.WARNING), ("httpcore", logging.WARNING), ("uvicorn.error", logging.WARNING)):
        logging.getLogger(name).setLevel(max(least, logging.getLevelName(level)))
