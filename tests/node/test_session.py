"""One client's connection: bytes and ticks in, frames and close codes out."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode

from node.frames import text_frame
from node.session import Phase, Session
from shared.auth import Principal
from shared.close_codes import CloseCode
from shared.ids import Position
from tests.node.fakes import Counters, Host, MemoryHistory, Tasks, Transport, make_feed, make_session

TOP = Position(1, 5)


@pytest.fixture
def host() -> Host:
    return Host()


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


# --- commands


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("ping", "pong"),
        ("get_stats", '{"type":"stats"}'),
        ("", '{"type":"error","code":"unknown_command"}'),
        ("PING", '{"type":"error","code":"unknown_command"}'),
        ("ping ", '{"type":"error","code":"unknown_command"}'),
        ("你好", '{"type":"error","code":"unknown_command"}'),
        ('{"type":"ping"}', '{"type":"error","code":"unknown_command"}'),
        ('"refresh"', '{"type":"error","code":"unknown_command"}'),
        ('["refresh"]', '{"type":"error","code":"unknown_command"}'),
        ('{"type":"refresh"', '{"type":"error","code":"unknown_command"}'),
        ('{"type":"other","x":"refresh"}', '{"type":"error","code":"unknown_command"}'),
        ('{"refresh":1}', '{"type":"error","code":"unknown_command"}'),
        ("[" * 4000 + '"refresh"', '{"type":"error","code":"unknown_command"}'),
    ],
)
def test_every_command_has_its_answer(host: Host, command: str, answer: str) -> None:
    session, transport = live(host)
    session.data_received(text(command))
    assert transport.texts == [answer]
    assert session.live


@pytest.mark.parametrize(
    ("command", "token"),
    [
        ('{"type":"refresh","token":"abc"}', "abc"),
        ('{ "token" : "abc" , "type" : "refresh" }', "abc"),
        ('{"type":"refresh","token":5}', ""),
        ('{"type":"refresh","token":null}', ""),
        ('{"type":"refresh"}', ""),
    ],
)
def test_a_refresh_is_handed_to_who_can_judge_it(host: Host, command: str, token: str) -> None:
    session, transport = live(host)
    session.data_received(text(command))
    assert host.refresh_tokens == [token]
    assert transport.written == []


def test_a_fresh_token_moves_the_end_of_the_session(host: Host) -> None:
    session, transport = live(host)
    session.refreshed(Principal("7", "alice", is_admin=False, expires_at=2_000_000_500.9))
    assert session.expires_at == 2_000_000_500.9
    assert json.loads(transport.texts[0]) == {"type": "refreshed", "exp": 2_000_000_500}


@pytest.mark.parametrize(
    ("principal", "is_admin"),
    [
        (None, False),
        (Principal("8", "bob", is_admin=False, expires_at=2_000_000_500.0), False),
        (Principal("8", "bob", is_admin=True, expires_at=2_000_000_500.0), True),
        (Principal("7", "alice", is_admin=False, expires_at=2_000_000_500.0), True),
    ],
    ids=["invalid", "another user's", "another admin's", "no longer an admin's"],
)
def test_a_token_that_is_refused_leaves_the_old_end_as_it_was(
    host: Host, principal: Principal | None, is_admin: bool
) -> None:
    session, transport = live(host, is_admin=is_admin)
    session.refreshed(principal)
    assert session.expires_at == 2_000_000_000.0
    assert transport.texts == ['{"type":"error","code":"invalid_token"}']
    assert session.live


def test_a_ping_frame_is_answered_with_its_payload(host: Host) -> None:
    session, transport = live(host)
    session.data_received(from_client(Opcode.PING, b"\x00\xff"))
    assert transport.received == [Frame(Opcode.PONG, b"\x00\xff")]


def test_a_pong_is_heard_and_not_answered(host: Host) -> None:
    session, transport = live(host)
    host.time += 50
    session.data_received(from_client(Opcode.PONG))
    assert session.heard_at == host.time
    assert transport.written == []


def test_any_byte_of_a_client_shows_that_it_lives(host: Host) -> None:
    session, _ = live(host)
    host.time += 50
    session.data_received(text("ping")[:1])
    assert session.heard_at == host.time


def test_one_command_too_many_ends_the_session(host: Host) -> None:
    session, transport = live(host)
    host.commands_left = 2
    session.data_received(text("ping") * 5)
    assert transport.texts == ["pong", "pong"]
    assert closed_with(transport) == CloseCode.TOO_MANY


# --- fragments


@given(st.sampled_from(["ping", "你好", '{"type":"refresh","token":"你"}']), st.data())
def test_a_message_in_fragments_is_one_message_with_control_frames_in_between(
    message: str, data: st.DataObject
) -> None:
    host = Host()
    session, transport = live(host)
    payload = message.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(payload)), max_size=4)))
    stream = b""
    for index, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(payload)], strict=True)):
        stream += from_client(Opcode.CONT if index else Opcode.TEXT, payload[start:end], fin=index == len(cuts))
        stream += from_client(Opcode.PONG)
    for byte in stream:
        session.data_received(bytes([byte]))
    if message == "ping":
        assert transport.texts == ["pong"]
    else:
        assert len(transport.texts) + len(host.refresh_tokens) == 1
    assert session.live


def test_a_fragmented_message_larger_than_a_frame_may_be_ends_the_session(host: Host) -> None:
    session, transport = live(host)
    session.data_received(from_client(Opcode.TEXT, b"x" * 4000, fin=False))
    session.data_received(from_client(Opcode.CONT, b"x" * 97, fin=False))
    assert closed_with(transport) == CloseCode.FRAME_TOO_LARGE


# --- violations


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (from_client(Opcode.BINARY, b"ping"), 1003),
        (from_client(Opcode.BINARY, b"ping", fin=False), 1003),
        (from_client(Opcode.TEXT, b"\xff"), 1007),
        (from_client(Opcode.TEXT, b"\xed\xa0\x80"), 1007),
        (from_client(Opcode.TEXT, b"\xe4\xbd", fin=False) + from_client(Opcode.CONT, b"x"), 1007),
        (from_client(Opcode.TEXT, b"x" * 4097), 1009),
        (from_client(Opcode.CONT, b"x"), 1002),
        (from_client(Opcode.TEXT, b"x", fin=False) + from_client(Opcode.TEXT, b"x"), 1002),
        (Frame(Opcode.TEXT, b"ping").serialize(mask=False), 1002),
        (b"\xff" * 20, 1002),
        (b"GET / HTTP/1.1\r\n\r\n", 1002),
        (from_client(Opcode.CLOSE, b"\x03"), 1002),
        (from_client(Opcode.CLOSE, struct.pack("!H", 1005)), 1002),
        (from_client(Opcode.CLOSE, struct.pack("!H", 1000) + b"\xff"), 1007),
    ],
    ids=[
        "binary",
        "binary begun",
        "no UTF-8",
        "a surrogate",
        "a character cut short",
        "too long",
        "a continuation of nothing",
        "text within text",
        "unmasked",
        "reserved bits",
        "HTTP",
        "half a close code",
        "a close code for nobody",
        "a reason that is no UTF-8",
    ],
)
def test_a_violation_closes_with_its_code_and_nothing_after_it_counts(host: Host, data: bytes, code: int) -> None:
    session, transport = live(host)
    session.data_received(data + text("ping"))
    session.data_received(text("ping"))
    assert closed_with(transport) == code == session.close_code
    assert transport.texts == []
    assert session.phase is Phase.CLOSING
    assert host.closing_calls == [(session, code)]


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_no_bytes_at_all_break_a_session(chunks: list[bytes]) -> None:
    session, transport = live(Host())
    for chunk in chunks:
        session.data_received(chunk)
    assert len([frame for frame in transport.received if frame.opcode == Opcode.CLOSE]) <= 1


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


# --- a client that reads nothing


def stalled(host: Host) -> tuple[Session, Transport]:
    session, transport = live(host)
    transport.stall()
    (feed,) = session.feeds
    feed.hear(Position(1, 6), b'{"n":6', None)
    return session, transport


def test_a_client_that_does_not_read_is_not_live_and_is_not_read(host: Host) -> None:
    host.time += 5
    session, transport = stalled(host)
    assert (session.phase, session.live, session.writable) == (Phase.CATCHING_UP, False, False)
    assert not transport.reading
    assert session.since == host.time
    assert session.cursors == [Position(1, 6)], "what is in its buffer it has"


def test_events_cost_a_client_that_does_not_read_nothing(host: Host) -> None:
    session, transport = stalled(host)
    (feed,) = session.feeds
    for n in range(7, 1000):
        feed.hear(Position(1, n), b'{"n":1', None)
        feed.hear_state(1, Position(1, n), b'{"progress":1', 2_000_000_000.0)
    assert len(transport.buffered) == 1


def test_a_client_that_reads_again_is_heard_and_brought_up_to_date(host: Host) -> None:
    session, transport = stalled(host)
    host.time += 20
    transport.drain()
    assert transport.reading
    assert session.writable
    assert session.heard_at == host.time, "it could not be heard meanwhile"
    assert host.behind_calls == [session]
    assert session.phase is Phase.CATCHING_UP


def test_only_the_newest_state_waits_for_a_client_that_does_not_read(host: Host) -> None:
    host.catches_up = True
    session, transport = live(host)
    (feed,) = session.feeds
    transport.stall()
    for n in range(1, 100):
        feed.hear_state(1, Position(1, n), b'{"progress":%d' % n, 2_000_000_000.0)
    transport.drain()
    assert transport.texts == ['{"progress":1}', '{"progress":99}']
    assert session.live


@pytest.mark.parametrize("own_is_ahead", [False, True])
def test_states_of_two_feeds_are_counted_each_for_itself(host: Host, own_is_ahead: bool) -> None:
    """Revisions of two hash tags have nothing to do with each other."""
    host.catches_up = True
    session, transport = make_session(host)
    own = make_feed(MemoryHistory(), Tasks(), Counters())
    everyone = make_feed(MemoryHistory(), Tasks(), Counters(), stream="all")
    slow, fast = (everyone, own) if own_is_ahead else (own, everyone)
    for feed in (own, everyone):
        feed.open(TOP)
        feed.add(session)
    session.welcome(text_frame(b"{}"), (own, everyone), [TOP, TOP])
    session.go_live()
    fast.hear_state(1, Position(1, 1000), b'{"fast":1', 2_000_000_000.0)
    slow.hear_state(2, Position(1, 5), b'{"slow":1', 2_000_000_000.0)
    transport.stall()
    session.write(text_frame(b'"in the buffer"'))
    slow.hear_state(2, Position(1, 6), b'{"slow":2', 2_000_000_000.0)
    transport.drain()
    assert session.live
    assert '{"slow":2}' in transport.texts


def test_a_connecting_client_gets_the_states_of_both_its_feeds(host: Host) -> None:
    host.catches_up = True
    session, transport = make_session(host)
    own = make_feed(MemoryHistory(), Tasks(), Counters())
    everyone = make_feed(MemoryHistory(), Tasks(), Counters(), stream="all")
    for feed, n, payload in ((own, 1000, b'{"own":1'), (everyone, 5, b'{"all":1')):
        feed.open(TOP)
        feed.hear_state(1, Position(1, n), payload, 2_000_000_000.0)
        feed.add(session)
    session.welcome(text_frame(b"{}"), (own, everyone), [TOP, TOP])
    host.behind(session)
    assert session.live
    assert transport.texts == ["{}", '{"own":1}', '{"all":1}']
