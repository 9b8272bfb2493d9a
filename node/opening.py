"""The opening handshake (RFC 6455, section 4.2): what a request for a WebSocket must say, and what it is answered.

Everything is in bytes, as the parser has it. Extensions are ignored: there are none that a frame for all could have.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from http import HTTPStatus
from typing import Final, NamedTuple

from shared.headers import Fields

LINE_MAX: Final = 32 * 1024  # bytes of a request's first line, and of a header
FIELDS_MAX: Final = 128
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MORE: Final = {
    HTTPStatus.METHOD_NOT_ALLOWED: b"allow: GET\r\n",
    HTTPStatus.UPGRADE_REQUIRED: b"connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n",
}


class Fault(NamedTuple):
    """Why no WebSocket can be opened."""

    status: HTTPStatus
    reason: str


def fault_of(
    method: str, http_version: str, target: bytes, fields: Fields, said: dict[bytes, bytes], *, followed: bool
) -> Fault | None:
    """Return what is wrong with a request whose ``Connection`` and ``Upgrade`` ask for a WebSocket.

    Args:
        fields: the head's lines, names in lower case.
        said: what these say together, by name.
        followed: whether bytes came together with the head, right behind it.
    """
    if method != "GET":
        return Fault(HTTPStatus.METHOD_NOT_ALLOWED, f"the method is GET, not {method}")
    if http_version != "1.1":
        return Fault(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, f"it takes HTTP/1.1, not HTTP/{http_version}")
    if len(target) > LINE_MAX:
        return Fault(HTTPStatus.REQUEST_URI_TOO_LONG, f"the address is longer than {LINE_MAX} bytes")
    if len(fields) > FIELDS_MAX or any(len(name) + len(value) > LINE_MAX for name, value in fields):
        reason = f"more than {FIELDS_MAX} headers, or one of more than {LINE_MAX} bytes"
        return Fault(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, reason)
    if b"transfer-encoding" in said or said.get(b"content-length", b"0") != b"0":
        return Fault(HTTPStatus.BAD_REQUEST, "a body is not supported")
    if followed:
        return Fault(HTTPStatus.BAD_REQUEST, "nothing may follow the request before it is answered")
    if said.get(b"sec-websocket-version") != b"13":
        return Fault(HTTPStatus.UPGRADE_REQUIRED, "Sec-WebSocket-Version is to be 13")
    if not _is_key(said.get(b"sec-websocket-key", b"")):
        return Fault(HTTPStatus.BAD_REQUEST, "Sec-WebSocket-Key is to be one of 16 bytes, in base64")
    return None


def _is_key(key: bytes) -> bool:
    try:
        return len(b64decode(key, validate=True)) == 16
    except NotBase64:
        return False


def acceptance(key: bytes, subprotocol: str | None, fields: Fields) -> bytes:
    """Return the answer that opens the WebSocket, with further header fields."""
    accept = b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    chosen = b"" if subprotocol is None else b"sec-websocket-protocol: %b\r\n" % subprotocol.encode()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        b"sec-websocket-accept: %b\r\n%b%b\r\n" % (accept, chosen, _lines(fields))
    )


def rejection(fault: Fault, fields: Fields) -> bytes:
    """Return the answer that ends the connection, with further header fields."""
    status, reason = fault
    text = f"Failed to open a WebSocket connection: {reason}.\n".encode() if reason else b""
    return (
        b"HTTP/1.1 %d %b\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n"
        b"%b%b\r\n%b" % (status, status.phrase.encode(), len(text), _MORE.get(status, b""), _lines(fields), text)
    )


def _lines(fields: Fields) -> bytes:
    return b"".join(b"%b: %b\r\n" % field for field in fields)
