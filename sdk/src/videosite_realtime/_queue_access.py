"""Where the queue is, and how long it may grow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from videosite_realtime.errors import ConfigurationError

URL_VARIABLE: Final = "QUEUE_URL"
PREFIX_VARIABLE: Final = "QUEUE_PREFIX"
LENGTH_VARIABLE: Final = "QUEUE_MAX_LENGTH"
_PREFIX: Final = "vsrt"
_MAX_LENGTH: Final = 100_000
_SCHEMES: Final = ("redis://", "rediss://", "unix://")


@dataclass(frozen=True, slots=True)
class QueueAccess:
    """Where entries are appended.

    Attributes:
        url: of the cluster's Redis; a password may be in it.
        key: the stream's.
        max_length: entries with which the queue is full.
    """

    url: str = field(repr=False)
    key: str
    max_length: int

    @classmethod
    def find(
        cls, url: str | None, prefix: str | None, max_length: int | None, environ: Mapping[str, str]
    ) -> QueueAccess:
        """Take what was given, and the rest from the environment.

        Raises:
            ConfigurationError: names the variable.
        """
        given = prefix if prefix is not None else environ.get(PREFIX_VARIABLE, "").strip() or _PREFIX
        length = str(max_length) if max_length is not None else environ.get(LENGTH_VARIABLE, "").strip()
        return cls(
            _checked_url((url if url is not None else environ.get(URL_VARIABLE, "")).strip()),
            f"{given}:queue:{{c}}",
            _checked_length(length or str(_MAX_LENGTH)),
        )


def _checked_url(text: str) -> str:
    if not text:
        raise ConfigurationError(URL_VARIABLE, "is not set: export it, or use NotificationQueue(url)")
    if not text.startswith(_SCHEMES):
        raise ConfigurationError(URL_VARIABLE, "is not like redis://redis:6379/0")  # not shown: it may hold a password
    return text


def _checked_length(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ConfigurationError(LENGTH_VARIABLE, f"is not a number of entries: {text!r}")
    return int(text)
