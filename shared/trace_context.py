"""The trace to which the current work belongs, as text: W3C ``traceparent``.

A request or a handshake runs in a task of its own, so a context variable set at its beginning is valid to its end and
leaks nowhere. Messages on the bus have no task of their own: code that logs there names the envelope's trace itself.
"""

from __future__ import annotations

import logging
import random
import re
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry import trace

TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_current: ContextVar[str] = ContextVar("traceparent", default="")


def traceparent(header: str | None) -> str:
    """Return the caller's W3C ``traceparent``, or a fresh one."""
    if header is not None and TRACEPARENT.fullmatch(header):
        return header
    return f"00-{random.getrandbits(128) or 1:032x}-{random.getrandbits(64) or 1:016x}-00"  # names, no secrets


def continued(header: str | None) -> str:
    """Return the caller's ``traceparent`` or a fresh one, to which this task's work belongs from here on."""
    parent = traceparent(header)
    _current.set(parent)
    return parent


def current() -> str:
    """Return the ``traceparent`` that this task continues; empty outside of any."""
    return _current.get()


def current_ids() -> tuple[str, str] | None:
    """Return the trace id and span id of the work at hand: the current span's where there is one."""
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        return format(span.trace_id, "032x"), format(span.span_id, "016x")
    return ids_of(_current.get())


def current_trace_id() -> str | None:
    """Return the trace id of the work at hand; None outside of any trace."""
    ids = current_ids()
    return ids[0] if ids is not None else None


def trace_id_of(text: str) -> str | None:
    """Return the trace id of a ``traceparent``; None for what is none."""
    ids = ids_of(text)
    return ids[0] if ids is not None else None


def ids_of(text: str) -> tuple[str, str] | None:
    """Return the trace id and span id of a ``traceparent``; None for what is none."""
    return (text[3:35], text[36:52]) if TRACEPARENT.fullmatch(text) else None


def add_ids(fields: dict[str, Any]) -> None:
    """Add the ids of the work at hand to a line's fields, unless these name a trace of their own."""
    ids = current_ids()
    if ids is not None and fields.setdefault("trace_id", ids[0]) == ids[0]:
        fields.setdefault("span_id", ids[1])


def mark(record: logging.LogRecord) -> None:
    """Store the current trace in a record, before the record is formatted in another context."""
    add_ids(vars(record))
