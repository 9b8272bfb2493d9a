"""A connection that says nothing, or half a request, is ended; one that speaks is served."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import websockets

from shared.http_protocol import HEAD_MAX_BYTES, DeadlineProtocol
from shared.serving import Server, listen, server_config

POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        while "text" in (message := await receive()) or message["type"] == "websocket.connect":
            if "text" in message:
                await send({"type": "websocket.send", "text": message["text"]})
        return
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    headers = [(b"content-length", b"%d" % len(body)), *(field for field in scope["headers"] if field[0] == b"x")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def deadline(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set what connections from now on have for a request, in s."""
    return lambda seconds: monkeypatch.setattr(DeadlineProtocol, "request_timeout", seconds)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    sock = listen("127.0.0.1", 0)
    server = Server(server_config(echo, ws="websockets-sansio"))
    task = asyncio.create_task(server.serve(sockets=[sock]))
    yield sock.getsockname()[1]
    server.stop()
    await task


async def said(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """Say parts with pauses between them, and return what came until the other side ended it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await asyncio.sleep(pause)
    try:
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "parts", [(), (b"POST / HT",), (b"POST / HTTP/1.1\r\nHost: x\r\n",), (POST,), (POST, b"12")], ids=str
)
async def test_who_does_not_finish_is_not_waited_for(
    port: int, deadline: Callable[[float], None], parts: tuple[bytes, ...]
) -> None:
    deadline(0.3)
    assert await said(port, *parts) == b""


async def test_a_request_in_pieces_is_served_in_time(port: int) -> None:
    answer = await said(port, POST.replace(b"Host", b"Connection: close\r\nHost"), b"12", b"34", pause=0.05)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"1234")


async def test_every_request_of_a_connection_has_its_own_deadline(port: int, deadline: Callable[[float], None]) -> None:
    deadline(2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(4):  # together longer than one may take
        writer.write(POST + b"12")
        await asyncio.sleep(0.6)
        writer.write(b"34")
        assert b"1234" in await asyncio.wait_for(reader.readuntil(b"1234"), 20)
    writer.write(POST)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await asyncio.wait_for(reader.readuntil(b"1234"), 20)
    writer.close()


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begun", "answer"),
    [
        (b"GET /", b"431"),
        (b"GET / HTTP/1.1\r\nX: ", b"431"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nX: ", b"431"),
        (CHUNKED + b"4;x=", b""),
        (CHUNKED + b"0\r\nX: ", b""),
    ],
    ids=["an address", "a header", "the header of a second request", "a chunk's extension", "a trailer"],
)
async def test_what_has_no_end_is_ended(
    port: int, deadline: Callable[[float], None], begun: bytes, answer: bytes
) -> None:
    deadline(60)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(begun)
    if begun.endswith(b"X: ") and begun.count(b"HTTP/1.1") == 2:
        await reader.readuntil(b"\r\n\r\n")  # the answer to the first request
    writer.write(b"a" * (3 * HEAD_MAX_BYTES))
    if answer:
        assert (await asyncio.wait_for(reader.readline(), 20)).startswith(b"HTTP/1.1 " + answer)
    with contextlib.suppress(ConnectionResetError):
        assert answer or await asyncio.wait_for(reader.read(), 20) == b""
    writer.close()


async def test_a_body_may_be_longer_than_a_head(port: int) -> None:
    body = b"a" * (4 * HEAD_MAX_BYTES)
    head = b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert (await said(port, head, body)).startswith(b"HTTP/1.1 200")


async def test_what_stands_in_a_trailer_is_no_header(port: int) -> None:
    """Whoever looked after the headers on the way, a proxy that takes some out, has not seen it."""
    head = CHUNKED.replace(b"Host", b"Connection: close\r\nX: early\r\nHost")
    answer = await said(port, head + b"1\r\n1\r\n0\r\nX: late\r\n\r\n")
    assert b"x: early\r\n" in answer
    assert b"late" not in answer


async def test_a_websocket_has_no_deadline(port: int, deadline: Callable[[float], None]) -> None:
    deadline(1)
    async with websockets.connect(f"ws://127.0.0.1:{port}/") as client:
        await asyncio.sleep(1.2)
        await client.send("still there")
        assert await client.recv() == "still there"


# As Java's HttpClient asks, with every request that it makes without TLS.
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n"


@pytest.mark.parametrize(
    "at", [None, 20, -4, -2], ids=["in one", "amid its first line", "after its head", "amid its body"]
)
async def test_a_request_that_offers_another_protocol_is_served_whole(port: int, at: int | None) -> None:
    request = POST.replace(b"Host", OFFER + b"Host") + b"1234"
    parts = (request,) if at is None else (request[:at], request[at:])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await asyncio.sleep(0.02)
    answer = await asyncio.wait_for(reader.readuntil(b"1234"), 20)
    assert answer.startswith(b"HTTP/1.1 200")
    writer.close()


async def test_many_such_requests_may_follow_each_other(port: int) -> None:
    requests = [POST.replace(b"Host", OFFER + b"Host") + b"%04d" % number for number in range(1500)]
    requests[-1] = requests[-1].replace(b"Upgrade, HTTP2-Settings", b"close, Upgrade")
    answers = await said(port, *requests)
    assert [answers.count(b"\r\n\r\n%04d" % number) for number in range(1500)] == [1] * 1500
    assert answers.count(b"HTTP/1.1 200") == 1500


async def test_such_a_request_in_chunks_is_served_whole(port: int) -> None:
    head = CHUNKED.replace(b"Host", OFFER.replace(b"Upgrade,", b"close, Upgrade,") + b"Host")
    assert (await said(port, head + b"2\r\n12\r\n2\r\n34\r\n0\r\n\r\n")).endswith(b"1234")


async def test_half_of_such_a_request_is_not_waited_for(port: int, deadline: Callable[[float], None]) -> None:
    deadline(0.3)
    assert await said(port, POST.replace(b"Host", OFFER + b"Host") + b"12") == b""


async def test_the_body_of_an_offer_with_several_connection_lines_is_no_request(port: int) -> None:
    body = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nHost: x\r\n%bConnection: keep-alive\r\nContent-Length: %d\r\n\r\n" % (OFFER, len(body))
    answers = await said(port, head, body, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", pause=0.02)
    assert answers.count(b"HTTP/1.1 200") == 2
    assert body in answers


async def test_a_socket_may_have_several_connection_lines(port: int) -> None:
    lines = {"Connection": "keep-alive"}
    async with websockets.connect(f"ws://127.0.0.1:{port}/", additional_headers=lines) as client:
        await client.send("as ever")
        assert await client.recv() == "as ever"


@pytest.mark.parametrize("offer", [b"", OFFER])
async def test_a_tunnel_is_refused(port: int, offer: bytes) -> None:
    assert (await said(port, b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n" + offer + b"\r\n")).startswith(b"HTTP/1.1 400")
