"""Sessions that are live, and what their clients send."""

from __future__ import annotations

from websockets.frames import Close, Frame, Opcode

from node.frames import text_frame
from node.session import Session
from shared.ids import Position
from tests.node.fakes import Counters, Host, MemoryHistory, Tasks, Transport, make_feed, make_session

TOP = Position(1, 5)


def from_client(opcode: Opcode, payload: bytes = b"", *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin).serialize(mask=True)


def text(message: str) -> bytes:
    return from_client(Opcode.TEXT, message.encode())


def live(host: Host, *, is_admin: bool = False) -> tuple[Session, Transport]:
    """Return a session that hears one feed, at whose top it is."""
    session, transport = make_session(host, is_admin=is_admin)
    feed = make_feed(MemoryHistory(), Tasks(), Counters())
    feed.open(TOP)
    feed.add(session)
    transport.pause_reading()
    session.welcome(text_frame(b'{"type":"connected"}'), (feed,), [TOP])
    session.go_live()
    transport.written.clear()
    return session, transport


def closed_with(transport: Transport) -> int:
    """Return the code of the one close frame, which is the last thing that was written."""
    last = transport.received[-1]
    assert [frame.opcode for frame in transport.received].count(Opcode.CLOSE) == 1
    assert last.opcode == Opcode.CLOSE
    return Close.parse(bytes(last.data)).code
