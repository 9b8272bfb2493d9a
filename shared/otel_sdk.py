"""What the exporters of traces and of metrics have in common.

The resource that they describe, how a failure is logged, and that no shutdown waits too long for a collector.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from opentelemetry.sdk.resources import OTELResourceDetector, Resource

REASON_MAX: Final = 200  # characters
FLUSH: Final = 1.5  # s that the last spans have at the end, and the last metrics

T = TypeVar("T")


class Reasons(logging.Filter):
    """Keeps what an exporter would log at every attempt, for the one line that we log.

    Put on an exporter's logger to stay: an export that was given up at the end may fail after it.
    """

    last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        self.last = record.getMessage()[:REASON_MAX]
        return False


def sdk_resource(ours: Mapping[str, str]) -> Resource:
    """Return the resource: what ``OTEL_RESOURCE_ATTRIBUTES`` and ``OTEL_SERVICE_NAME`` say counts more than ours."""
    return Resource.create({**ours, **OTELResourceDetector().detect().attributes})


def shown(endpoint: str) -> str:
    """Return an endpoint's host and port, without the password that may stand before them."""
    return urlsplit(endpoint).netloc.rpartition("@")[2]


def in_daemon(work: Callable[[], T], name: str) -> asyncio.Future[T]:
    """Run something in a thread of its own, which the end of the process does not wait for.

    The loop's executor would not do: both the loop and the interpreter wait for it, as long as a collector hangs.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(set_outcome: Callable[[Any], None], outcome: object) -> None:
        if not future.done():  # else nobody waits any more
            set_outcome(outcome)

    def run() -> None:
        try:
            settled = partial(settle, future.set_result, work())
        except Exception as exc:
            settled = partial(settle, future.set_exception, exc)
        with contextlib.suppress(RuntimeError):  # the loop has ended before
            loop.call_soon_threadsafe(settled)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
