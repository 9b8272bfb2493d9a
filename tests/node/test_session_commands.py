"""What a client may send to its session, and what ends it."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from node.session import Phase
from shared.auth import Principal
from shared.close_codes import CloseCode
from tests.node.fakes import Host
from tests.node.sessions import closed_with, from_client, live, text

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
