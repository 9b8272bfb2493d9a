"""One client's Server-Sent Events: a session whose frames are chunks of an HTTP answer that does not end.

Only the format differs from a socket's: feeds write to it, it falls behind and catches up, is sent away and closed.

| what a socket gets | what a stream gets |
| --- | --- |
| a frame with a message | ``id:`` with the positions in all its streams, ``data:`` with the same message |
| ``reconnect`` before a close | the same message, with ``retry:`` |
| a close frame | ``event: close`` with code and reason, and the end of the answer |
| a pong | a comment, whenever nothing was sent for a while |

Its client sends nothing, so the kernel has to detect that it is gone: data that stays unacknowledged for long ends the
connection.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, ClassVar, Final

from pydantic_core import to_json

from node.cursors import cursor_of
from node.frames import text_of
from node.session import Phase, Session

if TYPE_CHECKING:
    from node.feed import Feed
    from node.session_host import SessionHost
    from shared.ids import Position

BEAT: Final = 15.0  # s; shorter than the silence after which proxies cut off, often 30 or 60 s
_RETRY_MS: Final = 3000  # until a node says otherwise
_LAST_CHUNK: Final = b"0\r\n\r\n"
_COMMENT: Final = b"3\r\n:\n\n\r\n"


class EventStream(Session):
    """A client of Server-Sent Events. Nothing is written before its welcome, since the answer's head is not sent yet.

    Attributes:
        reason: why it was ended, with ``close_code``.
        retry_after_ms: when it was told to come back.
    """

    __slots__ = ("_shown_at", "reason", "retry_after_ms")

    speaks: ClassVar[bool] = False

    def __init__(
        self, host: SessionHost, transport: asyncio.Transport, *, is_admin: bool, descriptor: int = -1
    ) -> None:
        super().__init__(host, transport, is_admin=is_admin, descriptor=descriptor)
        self._shown_at = host.now()
        self.reason, self.retry_after_ms = "", 0

    def write(self, frame: bytes) -> bool:
        """Send a message together with the cursor that the client has reached by it."""
        return self._show(b"id: %s\ndata: %s\n\n" % (self._cursor(), text_of(frame)))

    def _cursor(self) -> bytes:
        # A live session is where its feeds are: their tops move before they write.
        positions = [feed.position for feed in self.feeds] if self.cursors is None else self.cursors
        return cursor_of([feed.stream for feed in self.feeds], positions).encode()

    def _show(self, event: bytes) -> bool:
        self._shown_at = self._host.now()
        return super().write(_chunk(event))

    def welcome(self, frame: bytes, feeds: tuple[Feed, ...], cursors: list[Position]) -> None:
        super().write(_chunk(b"retry: %d\n" % _RETRY_MS))
        super().welcome(frame, feeds, cursors)

    def send_away(self, code: int, reason: str, retry_after_ms: int) -> None:
        if self.phase < Phase.CLOSING:
            self.retry_after_ms = retry_after_ms
            if self.welcomed_at:
                self._show(reconnect_event(retry_after_ms))
            self.close(code, reason)

    def close(self, code: int, reason: str = "") -> None:
        """End the answer with a reason; before its head is sent, that is left to the code that answers the request."""
        if self.phase >= Phase.CLOSING:
            return
        self.reason = reason
        super().close(code, reason)
        if self.welcomed_at:
            self.transport.close()  # once its buffer has drained

    def _say_goodbye(self, code: int, reason: str) -> None:
        if self.welcomed_at:
            self._show(close_event(code, reason))
            super().write(_LAST_CHUNK)

    def beat(self, now: float) -> None:
        if now - self._shown_at >= BEAT:
            self._shown_at = now
            super().write(_COMMENT)

    def data_received(self, data: bytes) -> None:
        """Ignore it: this connection serves no second request."""


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def reconnect_event(retry_after_ms: int) -> bytes:
    """Return the event that says when to reconnect, both as a message and as ``retry:`` for an ``EventSource``."""
    told = b'retry: %d\ndata: {"type":"reconnect","retry_after_ms":%d}\n\n'
    return told % (retry_after_ms, retry_after_ms)


def close_event(code: int, reason: str) -> bytes:
    return b"event: close\ndata: %s\n\n" % to_json({"code": int(code), "reason": reason})


def end_when_unacknowledged(transport: asyncio.Transport, seconds: float) -> None:
    """Have the kernel end a connection whose peer has not acknowledged anything for so long."""
    sock = transport.get_extra_info("socket")
    if sock is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))
