"""What a request for a WebSocket must say; the answer is read by another implementation."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.streams import StreamReader
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from node.opening import FIELDS_MAX, LINE_MAX, Fault, acceptance, fault_of, rejection
from shared.headers import by_name

DATE = [(b"date", b"Fri, 27 Nov 2026 08:00:00 GMT")]


def client() -> ClientProtocol:
    return ClientProtocol(parse_uri("ws://realtime.example.com/"), subprotocols=[Subprotocol("bearer")])


def fields_of(request: Request) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in request.headers.raw_items()]


FIELDS = fields_of(client().connect())


def fault(
    *fields: tuple[bytes, bytes],
    method: str = "GET",
    http_version: str = "1.1",
    target: bytes = b"/",
    without: bytes = b"",
    followed: bool = False,
) -> Fault | None:
    every = [field for field in FIELDS if field[0] != without] + list(fields)
    return fault_of(method, http_version, target, every, by_name(every), followed=followed)


def read(answer: bytes) -> Response:
    reader = StreamReader()
    reader.feed_data(answer)
    reading = Response.parse(reader.read_line, reader.read_exact, reader.read_to_eof)
    try:
        next(reading)
    except StopIteration as done:
        response: Response = done.value
        return response
    raise AssertionError("the answer has no end")


@pytest.mark.parametrize("subprotocol", [None, "bearer"])
def test_what_opens_is_accepted_by_another_implementation(subprotocol: str | None) -> None:
    other = client()
    request = other.connect()
    fields = fields_of(request)
    assert fault_of("GET", "1.1", b"/", fields, by_name(fields), followed=False) is None
    response = read(acceptance(request.headers["Sec-WebSocket-Key"].encode(), subprotocol, DATE))
    assert (response.status_code, response.headers["date"]) == (101, DATE[0][1].decode())
    other.process_response(response)
    assert other.subprotocol == subprotocol


def test_the_answer_to_the_key_of_the_rfc_is_the_rfcs() -> None:
    answer = acceptance(b"dGhlIHNhbXBsZSBub25jZQ==", None, [])
    assert b"\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS"])
def test_the_method_is_get(method: str) -> None:
    assert fault(method=method) == (405, f"the method is GET, not {method}")


def test_http_1_0_knows_no_upgrade() -> None:
    assert fault(http_version="1.0") == (505, "it takes HTTP/1.1, not HTTP/1.0")


@pytest.mark.parametrize(
    "key",
    [b"", b"short", b"dGhlIHNhbXBsZSBub25j", b"dGhlIHNhbXBsZSBub25jZQ=", b"dGhlIHNhbXBsZSBub25jZ!==", b"\xff" * 24],
)
def test_the_key_is_16_bytes_in_base64(key: bytes) -> None:
    found = fault((b"sec-websocket-key", key), without=b"sec-websocket-key")
    assert found is not None
    assert (found.status, found.reason.partition(" ")[0]) == (400, "Sec-WebSocket-Key")


@pytest.mark.parametrize("name", [b"sec-websocket-key", b"sec-websocket-version"])
def test_neither_key_nor_version_may_be_missing_or_contradict_itself(name: bytes) -> None:
    for found in (fault(without=name), fault((name, b"AAAAAAAAAAAAAAAAAAAAAA=="))):
        assert found is not None
        assert found.reason.lower().startswith(name.decode())


@pytest.mark.parametrize("version", [b"", b"8", b"013", b"13, 8"])
def test_another_version_is_told_ours(version: bytes) -> None:
    found = fault((b"sec-websocket-version", version), without=b"sec-websocket-version")
    assert found is not None
    response = read(rejection(found, DATE))
    assert (response.status_code, response.headers["sec-websocket-version"]) == (426, "13")
    # Whoever sends `Upgrade` says in `Connection` that it is for the next hop alone (RFC 9110, section 7.8).
    assert response.headers["upgrade"] == "websocket"
    assert response.headers.get_all("connection") == ["close", "Upgrade"]


@pytest.mark.parametrize(
    ("field", "well"),
    [
        ((b"content-length", b"0"), True),
        ((b"content-length", b"5"), False),
        ((b"content-length", b"00"), False),
        ((b"transfer-encoding", b"chunked"), False),
        ((b"sec-websocket-extensions", b"permessage-deflate; client_max_window_bits"), True),
        ((b"sec-websocket-extensions", b";;;"), True),
        ((b"x", b"x" * (LINE_MAX - 1)), True),
        ((b"x", b"x" * LINE_MAX), False),
    ],
)
def test_a_body_is_not_taken_and_no_extension_is(field: tuple[bytes, bytes], well: bool) -> None:
    assert (fault(field) is None) is well


def test_who_speaks_before_it_is_answered_is_told() -> None:
    """Taken for nothing, it would be missed; a part of a frame, and what comes after it would be misread."""
    assert fault(followed=True) == (400, "nothing may follow the request before it is answered")


def test_neither_address_nor_head_is_read_without_end() -> None:
    assert fault(target=b"/" * LINE_MAX) is None
    assert fault(target=b"/" * (LINE_MAX + 1)) == (414, f"the address is longer than {LINE_MAX} bytes")
    many = [(b"x-%d" % number, b"") for number in range(FIELDS_MAX + 1 - len(FIELDS))]
    assert fault(*many[1:]) is None
    found = fault(*many)
    assert found is not None
    assert found.status == 431


def test_a_rejection_says_why_and_ends_the_connection() -> None:
    response = read(rejection(Fault(HTTPStatus.METHOD_NOT_ALLOWED, "the method is GET, not PUT"), DATE))
    assert (response.status_code, response.reason_phrase) == (405, "Method Not Allowed")
    assert response.body == b"Failed to open a WebSocket connection: the method is GET, not PUT.\n"
    assert response.headers == Headers(
        {
            "content-type": "text/plain; charset=utf-8",
            "content-length": str(len(response.body)),
            "connection": "close",
            "allow": "GET",
            "date": DATE[0][1].decode(),
        }
    )
