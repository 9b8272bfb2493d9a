"""Names of users, streams and events.

An event's id names its place: ``<stream>.<epoch>-<n>``, for example ``u.Nw.1732400000123-12``. Streams are ``admin``,
``all`` and, per user, ``u.<base64url of the user id>``. Within a stream ``n`` rises by one per event, so that every
hop sees a loss; the epoch rises whenever the server may have forgotten appends, so that no id is issued twice.
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from typing import NamedTuple

from shared.errors import InvalidUserId

ADMIN = "admin"
ALL = "all"

_USER_ID_MAX = 128
_USER_ID = re.compile(rf"[A-Za-z0-9_:@-]{{1,{_USER_ID_MAX}}}")
_is_user_id = lru_cache(maxsize=8192)(_USER_ID.fullmatch)  # the same users come again and again
_EVENT_ID = re.compile(r"(admin|all|u\.[A-Za-z0-9_-]{1,172})\.(0|[1-9]\d{0,14})-(0|[1-9]\d{0,14})")
_CANONICAL = re.compile(r"0|-?[1-9]\d{0,15}")


class Position(NamedTuple):
    """A place in a stream; positions of one stream are ordered as tuples."""

    epoch: int
    n: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.n}"

    @classmethod
    def parse(cls, text: str | bytes) -> Position:
        """Read ``<epoch>-<n>`` as our own scripts write it; raises ``ValueError`` for anything else."""
        epoch, _, n = text.partition(b"-") if isinstance(text, bytes) else text.partition("-")
        return tuple.__new__(cls, (int(epoch), int(n)))  # as cls(…), at half its cost: nodes make one per message


BEGINNING = Position(0, 0)


def user_id(value: object) -> str:
    """Return the canonical form of a user id.

    Raises:
        InvalidUserId: neither a string of 1 to 128 allowed characters nor an integer.
    """
    if type(value) is int and abs(value) < 2**63:
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > _USER_ID_MAX or not _is_user_id(value):
        raise InvalidUserId(value)
    return value


def json_user_id(user: str) -> int | str:
    """Return the id as browsers see it: an integer where it is a canonical decimal below 2**53, else the string."""
    return int(user) if _CANONICAL.fullmatch(user) and abs(int(user)) < 2**53 else user


@lru_cache(maxsize=65536)
def user_stream(user: str) -> str:
    """Return the name of a user's stream: base64url, since stream names end where ids begin."""
    return "u." + base64.urlsafe_b64encode(user.encode()).rstrip(b"=").decode()


def user_of(stream: str) -> str:
    """Return whose stream this is.

    Raises:
        ValueError: it is no user's.
    """
    prefix, _, name = stream.partition(".")
    user = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode("ascii")
    if prefix != "u" or len(user) > _USER_ID_MAX or not _is_user_id(user) or user_stream(user) != stream:
        raise ValueError(f"no user's stream: {stream[:40]!r}")
    return user


def event_id(stream: str, position: Position) -> str:
    return f"{stream}.{position.epoch}-{position.n}"


def parse_event_id(text: str) -> tuple[str, Position] | None:
    """Split an event id into its stream and position; None for what is not one."""
    match = _EVENT_ID.fullmatch(text)
    return (match[1], Position(int(match[2]), int(match[3]))) if match else None
