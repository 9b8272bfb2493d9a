"""One client's WebSocket after the handshake. No I/O of its own: bytes and ticks in, frames and close codes out.

The object is its transport's asyncio protocol, so that a connection costs no second object, no task and no queue:

| phase | what it means |
| --- | --- |
| OPENING | accepted, but not admitted yet. Nothing is read from it |
| CATCHING_UP | has a cursor in each of its streams, and is being brought to their tops |
| LIVE | at the top of all its feeds: they write to it directly |
| CLOSING | our close frame is sent; waits for the client's, discards everything else |
| CLOSED | gone |

A LIVE session whose write buffer does not drain returns to CATCHING_UP. Until it has drained, nothing is written to the
client and nothing is read from it (answers to its pings would fill the buffer further). Its events wait in history, and
of states only the newest is kept, so that a slow client costs a constant.
"""

from __future__ import annotations

import asyncio
import os
from enum import IntEnum
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from pydantic_core import from_json, to_json

from node import frames
from node.frames import FrameViolation
from shared.auth import Principal
from shared.close_codes import CloseCode
from shared.ids import Position

if TYPE_CHECKING:
    from node.acks import Acks
    from node.feed import Feed
    from node.session_host import SessionHost

PONG: Final = frames.text_frame(b"pong")
UNKNOWN_COMMAND: Final = frames.text_frame(b'{"type":"error","code":"unknown_command"}')
INVALID_TOKEN: Final = frames.text_frame(b'{"type":"error","code":"invalid_token"}')


class Phase(IntEnum):
    OPENING = 0
    CATCHING_UP = 1
    LIVE = 2
    CLOSING = 3
    CLOSED = 4


class Session:
    """A client's connection.

    Args:
        descriptor: the socket's, if frames may be written to it directly while the transport has nothing buffered;
            that saves a sixth of a broadcast.

    Attributes:
        speaks: whether its client sends something regularly, and counts as dead if it does not.
    """

    speaks: ClassVar[bool] = True

    __slots__ = (
        "_buffer",
        "_descriptor",
        "_host",
        "_owed",
        "_text",
        "acks",
        "close_code",
        "cursors",
        "expires_at",
        "feeds",
        "heard_at",
        "is_admin",
        "leaves_at",
        "live",
        "phase",
        "since",
        "states_seen",
        "transport",
        "user_id",
        "welcomed_at",
        "writable",
    )

    def __init__(
        self, host: SessionHost, transport: asyncio.Transport, *, is_admin: bool, descriptor: int = -1
    ) -> None:
        self._host, self.transport = host, transport
        self._descriptor = descriptor
        self.is_admin = is_admin
        self.user_id = ""
        self.expires_at = 0.0
        self.leaves_at = inf  # by the loop's time; sooner only where connections have a maximum age
        self.phase = Phase.OPENING
        self.live = False  # phase is LIVE: read for every session at every broadcast
        self.writable = transport.get_write_buffer_size() == 0
        self.heard_at = self.since = host.now()
        self.welcomed_at = 0.0  # by the loop's time; 0: not yet
        self.feeds: tuple[Feed, ...] = ()
        # While it is behind, per feed: where it stands in the stream, and how many changes of states it has seen.
        self.cursors: list[Position] | None = None
        self.states_seen: list[int] | None = None
        self.close_code = 0
        self.acks: Acks | None = None  # of a client that says when it has shown a message
        self._buffer = b""
        self._text: bytes | None = None
        self._owed: bytes | None = None  # what `inform` could not write yet

    # --- towards the client

    def identify(self, principal: Principal) -> None:
        self.user_id, self.expires_at = principal.user_id, principal.expires_at

    def write(self, frame: bytes) -> bool:
        """Send a frame; what the kernel does not take at once is buffered, and the session falls behind.

        Returns:
            False if it is lost: the peer has reset the connection.
        """
        if self.writable and self._descriptor >= 0:
            try:
                sent = os.write(self._descriptor, frame)
            except BlockingIOError:
                sent = 0
            except OSError:
                return False  # the transport is about to find out
            if sent == len(frame):
                return True
            frame = frame[sent:]
        if self.phase is Phase.CLOSED:
            return False
        self.transport.write(frame)
        return True

    def welcome(self, frame: bytes, feeds: tuple[Feed, ...], cursors: list[Position]) -> None:
        """Send the first frame; from now on the session catches up, and its client is read."""
        self.feeds, self.cursors, self.states_seen = feeds, cursors, [0] * len(feeds)
        self.heard_at = self.welcomed_at = self._host.now()
        self.write(frame)
        self.phase = Phase.CATCHING_UP
        if self.writable:
            self.transport.resume_reading()

    def go_live(self) -> None:
        """Let the feeds write directly. Called in the loop step in which every cursor equals its feed's top."""
        self.phase, self.live, self.cursors, self.states_seen = Phase.LIVE, True, None, None
        if self._owed is not None:
            frame, self._owed = self._owed, None
            self.write(frame)

    def inform(self, frame: bytes) -> None:
        """Send a frame of which only the newest counts; a session that is behind gets it once it is live."""
        if self.live:
            self.write(frame)
        elif self.phase < Phase.CLOSING:
            self._owed = frame

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame and wait for the client's; what comes after it is not delivered."""
        if self.phase >= Phase.CLOSING:
            return
        self.phase, self.live, self.close_code = Phase.CLOSING, False, code
        self._buffer = b""
        self.since = self._host.now()
        self._say_goodbye(code, reason)
        self.transport.resume_reading()
        self._host.closing(self)

    def _say_goodbye(self, code: int, reason: str) -> None:
        self.write(frames.close_frame(code, reason))

    def send_away(self, code: int, reason: str, retry_after_ms: int) -> None:
        """Close it, and say before when to reconnect, so that clients do not all arrive elsewhere at once."""
        if self.phase < Phase.CLOSING:
            self.write(frames.text_frame(b'{"type":"reconnect","retry_after_ms":%d}' % retry_after_ms))
            self.close(code, reason)

    def beat(self, now: float) -> None:
        """Send a sign of life to a client that sends nothing itself; a WebSocket's client asks for it by ``ping``."""

    def abort(self, code: int) -> None:
        """End it at once: a buffer that never drains would keep the socket for ever."""
        if self.phase < Phase.CLOSING:
            self.phase, self.live, self.close_code = Phase.CLOSING, False, code
            self._host.closing(self)
        self.transport.abort()

    # --- from the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Do nothing: the transport was made before the handshake."""

    def pause_writing(self) -> None:
        self.writable = False
        if self.phase is Phase.OPENING or self.phase >= Phase.CLOSING:
            return
        self.since = self._host.now()
        self.transport.pause_reading()
        if self.live:
            self._fall_behind()

    def _fall_behind(self) -> None:
        # The frame just written is in the buffer, and the feeds' tops already include it.
        self.phase, self.live = Phase.CATCHING_UP, False
        self.cursors = [feed.position for feed in self.feeds]
        self.states_seen = [feed.states.changes if feed.states is not None else 0 for feed in self.feeds]
        self._host.fell_behind()

    def resume_writing(self) -> None:
        self.writable = True
        if self.phase is Phase.CATCHING_UP:
            self.heard_at = self._host.now()  # it could not be heard while nothing was read
            self.transport.resume_reading()
            self._host.behind(self)

    def eof_received(self) -> None:
        """Let the transport close: half-open connections are not kept."""

    def connection_lost(self, exc: Exception | None) -> None:
        was, self.phase, self.live = self.phase, Phase.CLOSED, False
        self._descriptor = -1  # the number may be another connection's in a moment
        if was < Phase.CLOSING:
            self.close_code = self.close_code or 1006
            self._host.closing(self)
        self._host.closed(self)

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._host.now()
        if self._buffer:
            data = self._buffer + data
        try:
            received, self._buffer = frames.split(data, self._host.frame_max_bytes)
            for frame in received:
                self._receive(frame)
        except FrameViolation as exc:
            self._buffer = b""
            self.close(exc.code, str(exc))

    # --- what the client says

    def _receive(self, frame: frames.Frame) -> None:
        if self.phase is Phase.CLOSING:
            if frame.opcode == frames.CLOSE:
                self.transport.close()
            return
        if frame.opcode == frames.CLOSE:
            self._receive_close(frame.payload)
        elif self.acks is not None and self._host.acknowledged(self, frame):
            return  # it was asked: no command of its own
        elif not self._host.may_command(self.user_id):
            self.close(CloseCode.TOO_MANY, "too many commands")
        elif frame.opcode == frames.PING:
            self.write(frames.pong_frame(frame.payload))
        elif frame.opcode == frames.BINARY:
            raise FrameViolation(CloseCode.BINARY_FRAME, "binary frames are not understood")
        elif frame.opcode != frames.PONG:
            self._receive_text(frame)

    def _receive_close(self, payload: bytes) -> None:
        code = frames.received_close_code(payload)
        self.close(code if code != 1005 else CloseCode.NORMAL)
        self.close_code = code
        self.transport.close()

    def _receive_text(self, frame: frames.Frame) -> None:
        if (frame.opcode == frames.CONTINUATION) != (self._text is not None):
            raise FrameViolation(CloseCode.PROTOCOL_ERROR, "a fragment out of place")
        text = (self._text or b"") + frame.payload
        if len(text) > self._host.frame_max_bytes:
            raise FrameViolation(CloseCode.FRAME_TOO_LARGE, "a message larger than a frame may be")
        if not frame.fin:
            self._text = text
            return
        self._text = None
        self._command(frames.decode_text(text))

    def _command(self, text: str) -> None:
        if text == "ping":
            self.write(PONG)
        elif text == "get_stats":
            self.write(self._host.stats_frame())
        elif (token := _refresh_token(text)) is not None:
            self._host.refresh(self, token)
        elif self.acks is None or not text.startswith("ack "):
            self.write(UNKNOWN_COMMAND)

    def refreshed(self, principal: Principal | None) -> None:
        """Take a fresh token, or refuse it: then the old one stands."""
        if self.phase >= Phase.CLOSING:
            return
        if principal is None or principal.user_id != self.user_id or (self.is_admin and not principal.is_admin):
            self.write(INVALID_TOKEN)
            return
        self.expires_at = principal.expires_at
        self.write(frames.text_frame(to_json({"type": "refreshed", "exp": int(principal.expires_at)})))


def _refresh_token(text: str) -> str | None:
    """Return the token of a ``refresh`` command; None for any other text."""
    if '"refresh"' not in text:
        return None
    try:
        command = from_json(text)
    except ValueError:
        return None
    if not isinstance(command, dict) or cast(dict[str, Any], command).get("type") != "refresh":
        return None
    token = command.get("token")
    return token if isinstance(token, str) else ""
