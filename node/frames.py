"""WebSocket frames, as far as a node needs them (RFC 6455): small masked ones in, prebuilt ones out. No I/O.

A notification is the same bytes for everyone and a server's frames are not masked, so a frame is built once per
message and written to every connection as it is.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from websockets.frames import apply_mask  # type: ignore[attr-defined]  # its C version, or its Python one

from shared.close_codes import CloseCode
from shared.errors import RealtimeError

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_OPCODES: Final = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
_CONTROL: Final = 0x8
_CONTROL_MAX: Final = 125
_REASON_MAX: Final = 123
_RECEIVABLE_CODES: Final = (frozenset(range(1000, 1015)) - {1004, 1005, 1006}, range(3000, 5000))


class FrameViolation(RealtimeError):
    """The peer violated the protocol.

    Attributes:
        code: the close code to answer with.
    """

    def __init__(self, code: CloseCode, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(code, reason)

    def __str__(self) -> str:
        return self.reason


class Frame(NamedTuple):
    opcode: int
    fin: bool
    payload: bytes


def text_frame(payload: bytes) -> bytes:
    """Return the unmasked frame of one text message."""
    return _frame(0x80 | TEXT, payload)


def text_of(frame: bytes) -> bytes:
    """Return the text of a frame that :func:`text_frame` has made."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


def pong_frame(payload: bytes) -> bytes:
    return _frame(0x80 | PONG, payload)


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a close frame; a reason longer than a control frame holds is cut at a character."""
    text = reason.encode()[:_REASON_MAX].decode(errors="ignore").encode()
    return _frame(0x80 | CLOSE, struct.pack("!H", code) + text)


def _frame(head: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((head, size)) + payload
    if size < 65536:
        return struct.pack("!BBH", head, 126, size) + payload
    return struct.pack("!BBQ", head, 127, size) + payload


def split(data: bytes, limit: int) -> tuple[list[Frame], bytes]:
    """Split what a client sent into frames, and what is left of an unfinished one.

    Args:
        limit: largest payload, bytes; the left-over is never longer than this and a header.

    Raises:
        FrameViolation: the frames before it are lost with it; the connection is to be closed.
    """
    frames: list[Frame] = []
    start, end = 0, len(data)
    while end - start >= 2:
        head, size = data[start], data[start + 1]
        opcode = _checked_opcode(head, size)
        masked_at, size = start + 2, size & 0x7F
        if size >= 126:
            width = 2 if size == 126 else 8
            if end < masked_at + width:
                break
            size = int.from_bytes(data[masked_at : masked_at + width], "big")
            masked_at += width
        if size > limit:
            raise FrameViolation(CloseCode.FRAME_TOO_LARGE, f"a frame of {size} bytes is larger than {limit}")
        body = masked_at + 4
        if end < body + size:
            break
        payload = apply_mask(data[body : body + size], data[masked_at:body]) if size else b""
        frames.append(Frame(opcode, bool(head & 0x80), payload))
        start = body + size
    return frames, data[start:]


def _checked_opcode(head: int, size: int) -> int:
    opcode = head & 0x0F
    if head & 0x70:
        raise FrameViolation(CloseCode.PROTOCOL_ERROR, "reserved bits are set")
    if opcode not in _OPCODES:
        raise FrameViolation(CloseCode.PROTOCOL_ERROR, f"unknown opcode {opcode}")
    if not size & 0x80:
        raise FrameViolation(CloseCode.PROTOCOL_ERROR, "a client's frames are masked")
    if opcode & _CONTROL and (not head & 0x80 or size & 0x7F > _CONTROL_MAX):
        raise FrameViolation(CloseCode.PROTOCOL_ERROR, "a control frame is whole and at most 125 bytes")
    return opcode


def received_close_code(payload: bytes) -> int:
    """Return the code a client closed with, 1005 for none.

    Raises:
        FrameViolation: a code or reason that may not be on the wire.
    """
    if not payload:
        return 1005
    code = int.from_bytes(payload[:2], "big")
    plain, private = _RECEIVABLE_CODES
    if len(payload) == 1 or (code not in plain and code not in private):
        raise FrameViolation(CloseCode.PROTOCOL_ERROR, "an impossible close code")
    decode_text(payload[2:])
    return code


def decode_text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError as exc:
        raise FrameViolation(CloseCode.INVALID_UTF8, "text is not UTF-8") from exc
