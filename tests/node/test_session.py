"""One client's connection from its welcome to its end: bytes and ticks in, frames and close codes out."""

from __future__ import annotations

import struct

import pytest
from websockets.frames import Opcode

from node.frames import text_frame
from node.session import Phase
from shared.auth import Principal
from shared.close_codes import CloseCode
from shared.ids import Position
from tests.node.fakes import Counters, Host, MemoryHistory, Tasks, make_feed, make_session
from tests.node.sessions import TOP, closed_with, from_client, live, text

# --- sent away


def test_who_is_sent_away_is_told_when_to_come_back_and_then_closed(host: Host) -> None:
    session, transport = live(host)
    session.send_away(CloseCode.SERVICE_RESTART, "this node leaves", 1500)
    assert transport.texts == ['{"type":"reconnect","retry_after_ms":1500}']
    assert closed_with(transport) == 1012


def test_who_is_closing_already_is_told_nothing_more(host: Host) -> None:
    session, transport = live(host)
    session.close(CloseCode.UNAUTHENTICATED, "token expired")
    session.send_away(CloseCode.SERVICE_RESTART, "this node leaves", 1500)
    assert transport.texts == []
    assert closed_with(transport) == 4401


# --- welcome


def test_a_session_reads_its_client_only_once_it_is_welcomed(host: Host) -> None:
    session, transport = make_session(host)
    transport.pause_reading()
    feed = make_feed(MemoryHistory(), Tasks(), Counters())
    assert session.phase is Phase.OPENING
    session.welcome(text_frame(b'{"type":"connected"}'), (feed,), [TOP])
    assert transport.reading
    assert transport.texts == ['{"type":"connected"}']
    assert session.phase is Phase.CATCHING_UP
    assert not session.live


def test_a_client_that_reads_nothing_from_the_start_is_not_read_either(host: Host) -> None:
    session, transport = make_session(host)
    transport.pause_reading()
    transport.stall()
    session.welcome(text_frame(b'{"type":"connected"}'), (), [])
    assert not transport.reading
    transport.drain()
    assert transport.reading
    assert host.behind_calls == [session]


# --- the end


@pytest.mark.parametrize(
    "payload", [b"", struct.pack("!H", 1000), struct.pack("!H", 1001) + "再见".encode(), struct.pack("!H", 4999)]
)
def test_a_client_that_closes_gets_its_close_back_and_the_connection_ends(host: Host, payload: bytes) -> None:
    session, transport = live(host)
    session.data_received(from_client(Opcode.CLOSE, payload) + text("ping"))
    code = struct.unpack("!H", payload[:2])[0] if payload else 1000
    assert closed_with(transport) == code
    assert transport.closing
    assert not transport.aborted
    session.connection_lost(None)
    assert session.close_code == (code if payload else 1005)
    assert len(host.closing_calls) == 1
    assert host.closed_calls == [session]


def test_our_close_waits_for_the_clients(host: Host) -> None:
    session, transport = live(host)
    session.close(CloseCode.SERVICE_RESTART, "this node leaves")
    assert closed_with(transport) == 1012
    assert not transport.closing
    session.data_received(text("ping") + from_client(Opcode.PING) + from_client(Opcode.CLOSE, struct.pack("!H", 1012)))
    assert transport.closing
    assert closed_with(transport) == 1012
    session.connection_lost(None)
    assert session.close_code == 1012


def test_nothing_is_written_after_the_close(host: Host) -> None:
    session, transport = live(host)
    session.close(CloseCode.SERVICE_RESTART)
    written = list(transport.written)
    session.close(CloseCode.UNAUTHENTICATED)
    session.data_received(text("ping") + text("get_stats") + from_client(Opcode.PING, b"x"))
    session.refreshed(Principal("7", "alice", is_admin=False, expires_at=2_000_000_500.0))
    session.refreshed(None)
    assert transport.written == written
    assert session.close_code == 1012
    assert len(host.closing_calls) == 1


def test_a_feed_writes_nothing_to_a_session_that_is_closing(host: Host) -> None:
    session, transport = live(host)
    (feed,) = session.feeds
    session.close(CloseCode.SERVICE_RESTART)
    written = list(transport.written)
    feed.add(session)  # even if it were still there
    feed.hear(Position(1, 6), b'{"type":"x"', None)
    assert transport.written == written


def test_a_connection_that_breaks_off_is_reported_as_1006(host: Host) -> None:
    session, _ = live(host)
    session.connection_lost(ConnectionResetError())
    assert session.phase is Phase.CLOSED
    assert host.closing_calls == [(session, 1006)]
    assert host.closed_calls == [session]


def test_an_abort_takes_the_session_out_and_cuts_the_line(host: Host) -> None:
    session, transport = live(host)
    session.abort(CloseCode.TRY_AGAIN_LATER)
    assert transport.aborted
    assert host.closing_calls == [(session, 1013)]
    session.connection_lost(None)
    assert session.close_code == 1013
    assert host.closed_calls == [session]


def test_a_stalled_client_that_is_closed_is_read_again_for_its_close(host: Host) -> None:
    session, transport = live(host)
    transport.stall()
    session.write(text_frame(b"x"))
    assert not transport.reading
    session.close(CloseCode.SERVICE_RESTART)
    assert transport.reading
