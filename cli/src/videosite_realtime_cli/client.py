"""The rules of a client of the node, without sockets, clocks or terminals: frames in, decisions out.

An event's id names its place: ``<stream>.<epoch>-<n>``. The client keeps the newest id of each stream and asks for what
came after it when it returns (``since``); what it has had already it drops. What it does when a connection ends:

============================ ==================================================================================
1012, 1013                   retry: after the node's ``retry_after_ms`` if it sent one, else with back-off
1002, 1003, 1007, 1009       stop: a fault of ours, the same again would end the same
4401                         retry with a new token, if there is one; stop when that is refused too
4403                         stop
4408, 4429, any other        retry with back-off; ``retry_after_ms`` is honoured here as well
no connection                retry with back-off; stop when HTTP says 4xx, except 408, 425 and 429
============================ ==================================================================================

The back-off doubles per attempt and is forgotten once a heartbeat was answered, not sooner: a node that accepts us and
closes us again must not be hammered.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

STOPPING = frozenset({1002, 1003, 1007, 1009, 4403})
NEW_TOKEN = 4401
MEANINGS = {
    1000: "closed",
    1002: "protocol error",
    1003: "binary frame",
    1006: "connection lost",
    1007: "invalid UTF-8",
    1009: "frame too large",
    1012: "the node is draining or starts anew",
    1013: "fell too far behind, or the node is full",
    4401: "the token is missing, invalid or expired, or an administrator ended the connection",
    4403: "not an admin, or the user is unknown or blocked",
    4408: "no heartbeat",
    4429: "too many connections or commands of this user",
}

_RETRIABLE_STATUS = frozenset({408, 425, 429})
_EVENT_ID = re.compile(r"(.+)\.(\d{1,15})-(\d{1,15})", re.DOTALL)
_LONGEST_WAIT = 300.0

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Frame:
    """A text frame of the node, as it came and as it reads; ``message`` is empty for what is no JSON object."""

    text: str
    message: Message


class Then(Enum):
    RETRY = "retry"
    RETRY_WITH_NEW_TOKEN = "retry with a new token"  # noqa: S105
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do after a connection ended or did not come about.

    Attributes:
        after: seconds to wait before a retry.
        why: for a person.
    """

    then: Then
    why: str
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double up to a cap, each between half and the whole of it, so that clients do not march in step."""

    first: float = 0.5
    cap: float = 30.0
    jitter: Callable[[], float] = field(default=random.random, repr=False)

    def wait(self, attempt: int) -> float:
        return min(self.cap, self.first * 2.0 ** min(attempt, 30)) * (0.5 + self.jitter() / 2)


class Client:
    """One audience's listener over any number of connections.

    Args:
        since: ids to begin after, one per stream; without them, only what comes from now on.
        backoff: how long to wait between attempts.
    """

    def __init__(self, since: Iterable[str] = (), backoff: Backoff | None = None) -> None:
        self.heartbeat_interval = 30.0
        self._marks = _by_stream(since)
        self._backoff = backoff or Backoff()
        self._attempt = 0
        self._told_to_wait: float | None = None
        self._unanswered_ping = False
        self._token_refused = False

    @property
    def since(self) -> str | None:
        """The last id of each stream, as ``?since=`` takes them; None before the first."""
        return ",".join(self._marks.values()) or None

    def opened(self) -> None:
        """Begin with a new connection."""
        self._unanswered_ping = False
        self._told_to_wait = None

    def received(self, text: str) -> Frame | None:
        """Take a frame in; return it unless it only answers a heartbeat or repeats an event."""
        if self._unanswered_ping:
            self._unanswered_ping, self._attempt = False, 0
        if text == "pong":
            return None
        frame = Frame(text, _object(text))
        match frame.message.get("type"):
            case "connected":
                self._token_refused = False
                self._take_heartbeat(frame.message.get("heartbeat_interval_ms"))
                self._take_cursor(frame.message.get("cursor"))
            case "resync":
                self._take_cursor(frame.message.get("cursor"))
            case "reconnect":
                self._told_to_wait = _seconds(frame.message.get("retry_after_ms"))
            case _:
                return frame if self._is_new(frame.message.get("id")) else None
        return frame

    def beat(self) -> bool:
        """Tell whether to send a ping now; False when the last one was never answered: the connection is dead."""
        if self._unanswered_ping:
            return False
        self._unanswered_ping = True
        return True

    def closed(self, code: int, reason: str = "", *, renewable: bool = False) -> Verdict:
        """Decide what comes after a close; ``renewable`` says that a new token can be had."""
        why = f"{code} {reason or MEANINGS.get(code, 'closed')}"
        if code in STOPPING:
            return Verdict(Then.STOP, why)
        if code != NEW_TOKEN:
            return Verdict(Then.RETRY, why, self._next_wait())
        if not renewable or self._token_refused:
            return Verdict(Then.STOP, why)
        self._token_refused = True
        return Verdict(Then.RETRY_WITH_NEW_TOKEN, why, self._next_wait())

    def refused(self, status: int) -> Verdict:
        """Decide what comes after a handshake that HTTP answered with an error."""
        why = f"the node answered HTTP {status}"
        if 400 <= status < 500 and status not in _RETRIABLE_STATUS:
            return Verdict(Then.STOP, why)
        return Verdict(Then.RETRY, why, self._next_wait())

    def unreachable(self, why: str) -> Verdict:
        """Decide what comes after a connection that did not come about."""
        return Verdict(Then.RETRY, why, self._next_wait())

    def _next_wait(self) -> float:
        told, self._told_to_wait = self._told_to_wait, None
        if told is not None:
            return told  # the node has given every client a slot of its own: no jitter on top
        self._attempt += 1
        return self._backoff.wait(self._attempt - 1)

    def _is_new(self, event_id: object) -> bool:
        if not isinstance(event_id, str) or (place := _place(event_id)) is None:
            return True  # state and the node's own frames have no id
        stream, position = place
        known = _place(self._marks[stream]) if stream in self._marks else None
        if known is not None and position <= known[1]:
            return False
        self._marks[stream] = event_id
        return True

    def _take_cursor(self, cursor: object) -> None:
        # The whole position, not an addition: after `recovered: false` an old mark would only ask in vain again.
        if isinstance(cursor, str) and (marks := _by_stream(cursor.split(","))):
            self._marks = marks

    def _take_heartbeat(self, milliseconds: object) -> None:
        seconds = _seconds(milliseconds)
        self.heartbeat_interval = max(0.01, seconds) if seconds else 30.0


def _by_stream(ids: Iterable[str]) -> dict[str, str]:
    return {place[0]: each for each in ids if (place := _place(each)) is not None}


def _place(event_id: str) -> tuple[str, tuple[int, int]] | None:
    match = _EVENT_ID.fullmatch(event_id)
    return (match[1], (int(match[2]), int(match[3]))) if match else None


def _object(text: str) -> Message:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _seconds(milliseconds: object) -> float | None:
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, (int, float)) or not milliseconds >= 0:
        return None
    return min(milliseconds / 1000, _LONGEST_WAIT)
