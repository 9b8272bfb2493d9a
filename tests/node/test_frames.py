"""WebSocket frames, held to what the ``websockets`` library reads and writes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import EXTERNAL_CLOSE_CODES, Close, Opcode
from websockets.frames import Frame as ReferenceFrame

from node import frames
from node.frames import Frame, FrameViolation, close_frame, pong_frame, received_close_code, split, text_frame
from shared.close_codes import CloseCode
from tests.node.reading import server_frames

LIMIT = 4096
DATA = st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.CONT])
CONTROL = st.sampled_from([Opcode.PING, Opcode.PONG, Opcode.CLOSE])
SIZES = st.integers(0, 300) | st.sampled_from([125, 126, 127, LIMIT - 1, LIMIT])
CLIENT_FRAMES = st.builds(
    lambda opcode, size, fin, fill: ReferenceFrame(opcode, bytes([fill]) * size, fin),
    DATA,
    SIZES,
    st.booleans(),
    st.integers(0, 255),
) | st.builds(ReferenceFrame, CONTROL, st.binary(max_size=125))


def from_client(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    return ReferenceFrame(Opcode(opcode), payload, fin).serialize(mask=True)


# --- what a server sends


@given(st.binary(max_size=300) | st.sampled_from([125, 126, 65535, 65536, 70000]).map(bytes))
def test_what_is_built_is_what_the_library_builds(payload: bytes) -> None:
    assert text_frame(payload) == ReferenceFrame(Opcode.TEXT, payload).serialize(mask=False)
    assert server_frames(text_frame(payload)) == [ReferenceFrame(Opcode.TEXT, payload)]


@given(st.binary(max_size=125))
def test_a_pong_carries_the_pings_payload(payload: bytes) -> None:
    assert server_frames(pong_frame(payload)) == [ReferenceFrame(Opcode.PONG, payload)]


@given(st.sampled_from(sorted(CloseCode)), st.text(max_size=200))
def test_a_close_frame_is_always_valid_however_long_its_reason(code: CloseCode, reason: str) -> None:
    (frame,) = server_frames(close_frame(code, reason))
    close = Close.parse(bytes(frame.data))
    assert close.code == code
    assert reason.startswith(close.reason)
    assert len(frame.data) <= 125
    if len(reason.encode()) <= 123:
        assert close.reason == reason


def test_a_long_reason_is_cut_at_a_character() -> None:
    (frame,) = server_frames(close_frame(1013, "慢" * 50))
    assert Close.parse(bytes(frame.data)).reason == "慢" * 41


# --- what a client sends


@given(st.lists(CLIENT_FRAMES, max_size=6), st.data())
def test_frames_are_split_alike_in_whatever_chunks_they_come(sent: list[ReferenceFrame], data: st.DataObject) -> None:
    stream = b"".join(frame.serialize(mask=True) for frame in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    received: list[Frame] = []
    rest = b""
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found, rest = split(rest + stream[start:end], LIMIT)
        received += found
        assert len(rest) <= LIMIT + 14, "a left-over larger than a frame"
    assert received == [Frame(int(frame.opcode), frame.fin, bytes(frame.data)) for frame in sent]
    assert rest == b""
    assert all(type(frame.payload) is bytes for frame in received)


@given(CLIENT_FRAMES)
def test_a_frame_byte_by_byte_is_complete_with_its_last_byte_and_not_before(sent: ReferenceFrame) -> None:
    stream = sent.serialize(mask=True)
    for end in (*range(min(len(stream), 200)), len(stream) - 1):
        assert split(stream[:end], LIMIT) == ([], stream[:end])
    assert len(split(stream, LIMIT)[0]) == 1


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (bytes([0xC1, 0x80, 0, 0, 0, 0]), 1002),
        (bytes([0xA1, 0x80, 0, 0, 0, 0]), 1002),
        (bytes([0x91, 0x80, 0, 0, 0, 0]), 1002),
        (bytes([0x83, 0x80, 0, 0, 0, 0]), 1002),
        (bytes([0x87, 0x80, 0, 0, 0, 0]), 1002),
        (bytes([0x8B, 0x80, 0, 0, 0, 0]), 1002),
        (bytes([0x8F, 0x80, 0, 0, 0, 0]), 1002),
        (bytes([0x81, 0x00]), 1002),
        (bytes([0x81, 0x05]) + b"hello", 1002),
        (bytes([0x09, 0x80, 0, 0, 0, 0]), 1002),
        (bytes([0x08, 0x80, 0, 0, 0, 0]), 1002),
        (bytes([0x89, 0xFE, 0, 126]), 1002),
        (bytes([0x88, 0xFF]), 1002),
        (bytes([0x81, 0xFE]) + struct.pack("!H", LIMIT + 1), 1009),
        (bytes([0x82, 0xFF]) + struct.pack("!Q", LIMIT + 1), 1009),
        (bytes([0x81, 0xFF]) + struct.pack("!Q", 2**63), 1009),
        (bytes([0x81, 0xFF]) + b"\xff" * 8, 1009),
    ],
    ids=[
        "RSV1",
        "RSV2",
        "RSV3",
        "opcode 3",
        "opcode 7",
        "opcode 11",
        "opcode 15",
        "unmasked and empty",
        "unmasked",
        "a ping in fragments",
        "a close in fragments",
        "a ping of 126 bytes",
        "a close of a 64-bit length",
        "a byte too large",
        "a byte too large, 64-bit",
        "a length with its highest bit set",
        "the largest length there is",
    ],
)
def test_a_violation_has_its_code_as_soon_as_it_can_be_seen(data: bytes, code: int) -> None:
    with pytest.raises(FrameViolation) as caught:
        split(data, LIMIT)
    assert caught.value.code == code
    assert str(caught.value)
    with pytest.raises(FrameViolation):
        split(from_client(frames.TEXT, b"ping") + data, LIMIT)


def test_the_limit_is_a_payload_that_still_passes() -> None:
    (frame,), _ = split(from_client(frames.TEXT, b"x" * 128), 128)
    assert len(frame.payload) == 128
    with pytest.raises(FrameViolation):
        split(from_client(frames.TEXT, b"x" * 129), 128)


@given(st.binary(max_size=64))
def test_no_bytes_at_all_break_the_reader(data: bytes) -> None:
    try:
        found, rest = split(data, LIMIT)
    except FrameViolation as violation:
        found, rest, codes = [], b"", {violation.code}
    else:
        codes = set()
    assert codes <= {1002, 1009}
    assert sum(len(frame.payload) for frame in found) + len(rest) <= len(data)


# --- how a client closes


def test_a_close_code_is_taken_exactly_if_the_library_takes_it() -> None:
    refused = dict[int, int]()
    for code in range(65536):
        try:
            assert received_close_code(struct.pack("!H", code) + "再见".encode()) == code
        except FrameViolation as violation:
            refused[code] = violation.code
    assert set(refused.values()) == {1002}
    assert set(range(65536)) - refused.keys() == {*EXTERNAL_CLOSE_CODES, *range(3000, 5000)}


def test_a_close_without_a_code_is_read_as_1005() -> None:
    assert received_close_code(b"") == 1005


@pytest.mark.parametrize(("payload", "code"), [(b"\x03", 1002), (b"\x03\xe8\xff", 1007), (b"\x03\xe8\xe4\xbd", 1007)])
def test_a_close_that_is_cut_off_or_no_text_is_a_violation(payload: bytes, code: int) -> None:
    with pytest.raises(FrameViolation) as caught:
        received_close_code(payload)
    assert caught.value.code == code
