"""Logs are events with fields, on stderr: JSON for machines, one readable line at a terminal.

``docs/logging.md`` lists every event. ``configure`` is called once, by ``__main__``; everybody else has a logger of the
module's own and says an event in constant words, with what varies in ``extra``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import Hashable, Iterator
from contextvars import Context
from types import TracebackType
from typing import TextIO
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from shared import trace_context
from shared.audit import AUDIT
from shared.flood import FLOOD_KEY, FloodGuard, Window
from shared.log_formats import JsonFormatter, Source, TextFormatter
from shared.redaction import Redactor
from shared.settings import CommonSettings
from shared.version import VERSION

logger = logging.getLogger(__name__)

# httpx writes a line per request; uvicorn says that it runs, we say it with more fields. What these would say at DEBUG
# has heads of requests in it, tokens included.
_QUIET = (
    "httpx",
    "httpcore",
    "uvicorn",
    "uvicorn.error",
    "uvicorn.access",
    "uvicorn.asgi",
    "websockets",
    "asyncio",
    "alembic",
)


class GuardedHandler(logging.StreamHandler[TextIO]):
    """Writes lines, but limits a flood of one kind; how many were left out is logged later.

    Always written: DEBUG, which somebody has asked for; CRITICAL; and the audit, but for refusals, which strangers can
    bring about by the thousand.
    """

    def __init__(self, stream: TextIO, guard: FloodGuard) -> None:
        super().__init__(stream)
        self._guard = guard

    def emit(self, record: logging.LogRecord) -> None:
        if (kind := _kind(record)) is None:
            super().emit(record)
            return
        now = time.monotonic()
        window = self._guard.admit(kind, record, now)
        if window is None:
            super().emit(record)
            return
        record.exc_info = None  # its frames would be kept alive
        trace_context.mark(record)  # told later, it is told among other work
        if now >= window.ends_at:
            self._tell(window)
        elif window.suppressed == 1:
            self._tell_later(window, window.ends_at - now)

    def _tell_later(self, window: Window, seconds: float) -> None:
        try:
            # In an empty context: this line must not bear the trace of the request at hand.
            asyncio.get_running_loop().call_later(seconds, self._tell, window, context=Context())
        except RuntimeError:
            return  # no loop: the next line of the kind, or the end, tells

    def _tell(self, window: Window) -> None:
        self.acquire()
        try:
            if window.suppressed:
                record, before = self._guard.over(window, time.monotonic())
                record.suppressed = before or None
                super().emit(record)
        finally:
            self.release()

    def handleError(self, record: logging.LogRecord) -> None:
        """Log that a line could not be formatted. Python's own handler would show its content."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            return  # nobody reads us any more
        fields = {"of": record.name, "error": type(error).__name__}
        told = logging.makeLogRecord({"name": __name__, "levelname": "ERROR", "msg": "a line was lost", **fields})
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(self.format(told) + self.terminator)

    def close(self) -> None:
        """Tell what was left out and not told yet."""
        for window in self._guard.untold():
            self._tell(window)
        super().close()


def _kind(record: logging.LogRecord) -> Hashable | None:
    """Return the kind under which a record is counted; None for those that are always written."""
    key: Hashable | None = getattr(record, FLOOD_KEY, None)
    if key is not None or record.name == AUDIT:
        return key
    if not logging.INFO <= record.levelno < logging.CRITICAL:
        return None
    return record.name, record.msg, getattr(record, "reason", None)


def configure(settings: CommonSettings, service: str, instance: str) -> None:
    """Send the logs of this process to stderr.

    Args:
        service: ``node`` or ``router``.
        instance: its name, for example the pod's.
    """
    handler = GuardedHandler(sys.stderr, FloodGuard())
    handler.setFormatter(_formatter(settings, Source(service, instance, VERSION)))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(settings.log_level)))
    logging.getLogger(AUDIT).setLevel(logging.INFO)  # whatever LOG_LEVEL says
    logging.captureWarnings(True)
    # Python would determine these for every record, and no format of ours shows them.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    sys.excepthook = _uncaught
    sys.unraisablehook = lambda what: _uncaught(what.exc_type, what.exc_value, what.exc_traceback)


def tell_settings(settings: CommonSettings) -> None:
    """Log the settings of this process. Called once it is sure to start: otherwise it prints only why it does not."""
    logger.info("settings read", extra={"changed": changed(settings)})


def _formatter(settings: CommonSettings, source: Source) -> logging.Formatter:
    redactor, show_users = Redactor(secrets_of(settings)), settings.log_user_ids
    terminal = sys.stderr.isatty()
    if settings.log_format == "json" or (settings.log_format == "auto" and not terminal):
        return JsonFormatter(source, redactor, show_users=show_users)
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return TextFormatter(source, redactor, show_users=show_users, colour=colour)


def secrets_of(settings: CommonSettings) -> Iterator[str]:
    """Yield what must never be shown: secret settings, each key of a list, the password in an address of Redis."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            secret = value.get_secret_value()
            yield from (secret, *(part.strip() for part in secret.split(",")))
    password = urlsplit(settings.redis_url).password
    if password is not None:
        yield from (password, unquote(password))


def changed(settings: CommonSettings) -> dict[str, bool | float | str]:
    """Return the settings that differ from their defaults; of texts only that they do, for they may hold secrets."""
    found: dict[str, bool | float | str] = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if name in settings.model_fields_set and value != field.get_default(call_default_factory=True):
            found[name.upper()] = value if isinstance(value, bool | int | float) else "set"
    return found


def _uncaught(kind: type[BaseException], error: BaseException | None, where: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logger.critical("an error that nobody caught", exc_info=(kind, error or kind(), where))
