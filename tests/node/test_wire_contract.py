"""What ``node/wire.py`` relies on in uvicorn's protocol class: its names, and what they do."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator
from typing import Any

import pytest
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import http11
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from node.frames import text_frame
from node.session import Session
from node.wire import EXTENSION, LINE_MAX, UpgradeProtocol, allow_long_lines, take_over
from shared.asgi import ASGIApp, Receive, Scope, Send
from shared.serving import Server, listen, server_config
from tests.node.fakes import Host
from tests.shared.redis_server import until


@contextlib.asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[tuple[Server, str]]:
    sock = listen("127.0.0.1", 0)
    server = Server(server_config(app, ws=UpgradeProtocol, ws_ping_interval=None, ws_per_message_deflate=False))
    task = asyncio.create_task(server.serve(sockets=[sock]))
    await until(lambda: server.started)
    try:
        yield server, f"ws://127.0.0.1:{sock.getsockname()[1]}/"
    finally:
        server.stop()
        await task
        sock.close()


class Taker:
    """Accepts, takes the connection over, and returns."""

    def __init__(self) -> None:
        self.host = Host()
        self.sessions: list[Session] = []
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await receive()
        await send({"type": "websocket.accept"})

        def make(transport: asyncio.Transport, *more: Any) -> Session:
            return Session(self.host, transport, is_admin=False)

        session = take_over(scope, make)
        self.sessions.append(session)
        session.welcome(text_frame(b"welcome"), (), [])


@pytest.mark.parametrize("name", ["data_received", "handle_connect", "run_asgi", "connection_lost", "shutdown"])
def test_the_methods_are_where_they_were(name: str) -> None:
    assert callable(getattr(WebSocketsSansIOProtocol, name))


def test_handle_connect_takes_the_upgrade_request_alone() -> None:
    assert list(inspect.signature(WebSocketsSansIOProtocol.handle_connect).parameters) == ["self", "event"]


@pytest.mark.parametrize("name", ["scope", "connections", "transport", "close_timer"])
def test_the_attributes_are_where_they_were(name: str) -> None:
    assert f"self.{name}" in inspect.getsource(WebSocketsSansIOProtocol)


async def test_a_connection_lives_on_after_its_endpoint_returned() -> None:
    taker = Taker()
    async with serving(taker) as (server, url), connect(url, proxy=None) as client:
        assert await client.recv() == "welcome"
        await until(lambda: not server.server_state.tasks)
        await client.send("ping")
        assert await client.recv() == "pong"
        (session,) = taker.sessions
        assert not session.transport.is_closing()


async def test_uvicorn_forgets_a_connection_that_was_taken_over() -> None:
    taker = Taker()
    async with serving(taker) as (server, url), connect(url, proxy=None) as client:
        await client.recv()
        await until(lambda: not server.server_state.tasks)
        assert not server.server_state.connections


async def test_uvicorns_shutdown_does_not_touch_a_connection_that_was_taken_over() -> None:
    taker = Taker()
    async with serving(taker) as (server, url):
        client = await connect(url, proxy=None)
        await client.recv()
        await until(lambda: not server.server_state.tasks)
        server.should_exit = True
        await until(lambda: not server.servers or not any(s.is_serving() for s in server.servers))
        await client.send("ping")
        assert await client.recv() == "pong"
        taker.sessions[0].close(1012, "leaving")
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1012


async def test_the_close_handshake_is_the_sessions_own() -> None:
    taker = Taker()
    async with serving(taker) as (_, url):
        async with connect(url, proxy=None) as client:
            await client.recv()
            await client.close(4000, "再见")
            assert client.close_code == 4000
        await until(lambda: taker.host.closed_calls)
        assert taker.sessions[0].close_code == 4000


async def test_a_client_that_is_gone_is_noticed_by_its_session() -> None:
    taker = Taker()
    async with serving(taker) as (_, url):
        client = await connect(url, proxy=None)
        await client.recv()
        client.transport.abort()
        await until(lambda: taker.host.closed_calls)
        assert taker.sessions[0].close_code == 1006


async def test_the_write_buffer_counts_as_full_with_its_first_byte() -> None:
    taker = Taker()
    async with serving(taker) as (_, url), connect(url, proxy=None) as client:
        await client.recv()
        assert taker.sessions[0].transport.get_write_buffer_limits() == (0, 0)


async def test_an_upgrade_that_is_refused_is_uvicorns_business() -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.close"})

    async with serving(refuse) as (_, url):
        with pytest.raises(InvalidStatus) as caught:
            await connect(url, proxy=None)
        assert caught.value.response.status_code == 403


@pytest.fixture
def long_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http11, "MAX_LINE_LENGTH", http11.MAX_LINE_LENGTH)  # given back afterwards
    allow_long_lines()


async def test_a_first_line_of_twenty_kilobytes_is_read(long_lines: None) -> None:
    taker = Taker()
    async with serving(taker) as (_, url), connect(f"{url}?since={'x' * 20_000}", proxy=None) as client:
        assert await client.recv() == "welcome"
        assert len(taker.scopes[0]["query_string"]) > 20_000


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("x" * (LINE_MAX + 1), {}, 414),
        ("", {"X-Long": "x" * (LINE_MAX + 1)}, 431),
        ("", dict.fromkeys(map(str, range(200)), "x"), 431),
    ],
    ids=["first line", "header", "number of headers"],
)
async def test_a_request_that_is_too_large_is_answered_and_its_socket_given_up(
    long_lines: None, path: str, headers: dict[str, str], status: int
) -> None:
    taker = Taker()
    async with serving(taker) as (server, url):
        with pytest.raises(InvalidStatus) as caught:
            await connect(url + path, proxy=None, additional_headers=headers, open_timeout=5)
        assert caught.value.response.status_code == status
        await until(lambda: not server.server_state.connections)
    assert taker.scopes == []


async def test_the_endpoint_finds_the_way_out_in_the_asgi_scope() -> None:
    taker = Taker()
    async with serving(taker) as (_, url), connect(url, proxy=None) as client:
        await client.recv()
        assert callable(taker.scopes[0]["extensions"][EXTENSION])
