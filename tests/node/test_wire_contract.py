"""How a WebSocket leaves uvicorn: what ``node/wire.py`` relies on in uvicorn, and what its own part does."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
from collections.abc import AsyncIterator
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from node.frames import text_frame
from node.opening import FIELDS_MAX, LINE_MAX
from node.session import Session
from node.wire import EXTENSION, NodeProtocol, take_over
from shared.asgi import ASGIApp, Receive, Scope, Send
from shared.serving import Server, listen, server_config
from tests.node.fakes import Host
from tests.shared.redis_server import until


@contextlib.asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[tuple[Server, str]]:
    sock = listen("127.0.0.1", 0)
    server = Server(server_config(app, http=NodeProtocol))
    task = asyncio.create_task(server.serve(sockets=[sock]))
    await until(lambda: server.started)
    try:
        yield server, f"ws://127.0.0.1:{sock.getsockname()[1]}/"
    finally:
        server.stop()
        await task
        sock.close()


UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


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


@pytest.mark.parametrize("name", ["_should_upgrade", "_should_upgrade_to_ws", "handle_websocket_upgrade"])
def test_the_methods_are_where_they_were(name: str) -> None:
    assert list(inspect.signature(getattr(HttpToolsProtocol, name)).parameters) == ["self"]
    assert f"self.{name}()" in inspect.getsource(HttpToolsProtocol)


@pytest.mark.parametrize(
    "name", ["app", "connections", "cycle", "flow", "loop", "scope", "server_state", "tasks", "url"]
)
def test_the_attributes_are_where_they_were(name: str) -> None:
    assert f"self.{name}" in inspect.getsource(HttpToolsProtocol)


def test_what_servers_share_is_where_it_was() -> None:
    state = ServerState()
    assert (state.connections, state.default_headers) == (set(), [])
    assert "connection.shutdown()" in inspect.getsource(Server.shutdown)


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


async def test_nothing_of_a_handshake_waits_for_the_garbage_collector() -> None:
    async with serving(Taker()) as (_, url):
        port = int(url.rpartition(":")[2].strip("/"))

        async def come(count: int) -> list[asyncio.StreamWriter]:
            writers = []
            for _ in range(count):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writers.append(writer)
                writer.write(UPGRADE)
                await reader.readuntil(b"\r\n\r\n")
            return writers

        writers = await come(5)  # what is made only once is made
        gc.collect()
        gc.disable()
        try:
            writers += await come(20)
            assert gc.collect() < 20
        finally:
            gc.enable()
        for writer in writers:
            writer.close()


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


async def test_an_upgrade_that_is_refused_is_answered_403_and_its_socket_given_up() -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.close"})

    async with serving(refuse) as (server, url):
        with pytest.raises(InvalidStatus) as caught:
            await connect(url, proxy=None)
        assert caught.value.response.status_code == 403
        assert "date" in caught.value.response.headers
        await until(lambda: not server.server_state.connections)


@pytest.mark.parametrize("accepts", [False, True])
async def test_an_endpoint_that_fails_leaves_no_connection_behind(
    caplog: pytest.LogCaptureFixture, accepts: bool
) -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        if accepts:
            await send({"type": "websocket.accept"})
        raise RuntimeError("on purpose")

    async with serving(fail) as (server, url):
        if accepts:
            client = await connect(url, proxy=None)
            with pytest.raises(ConnectionClosed):
                await client.recv()
        else:
            with pytest.raises(InvalidStatus) as caught:
                await connect(url, proxy=None)
            assert caught.value.response.status_code == 500
        await until(lambda: not server.server_state.connections)
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["on purpose"]


async def test_a_server_that_stops_answers_who_waits_to_be_let_in() -> None:
    arrived, never = asyncio.Event(), asyncio.Event()

    async def hesitate(scope: Scope, receive: Receive, send: Send) -> None:
        arrived.set()
        await never.wait()

    async with serving(hesitate) as (server, url):
        knocking = asyncio.create_task(connect(url, proxy=None).__aenter__())
        await arrived.wait()
        server.stop()
        with pytest.raises(InvalidStatus) as caught:
            await knocking
        assert caught.value.response.status_code == 503
        never.set()


async def test_a_client_that_leaves_before_it_is_let_in_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def hesitate(scope: Scope, receive: Receive, send: Send) -> None:
        arrived.set()
        await gone.wait()
        await send({"type": "websocket.accept"})

    async with serving(hesitate) as (server, url):
        port = int(url.rpartition(":")[2].strip("/"))
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(UPGRADE)
        await arrived.wait()
        (connection,) = server.server_state.connections
        writer.transport.abort()
        connection._transport.abort()  # type: ignore[union-attr]  # it is not read: only writing would tell
        await until(lambda: not server.server_state.connections)
        gone.set()
        await until(lambda: not server.server_state.tasks)
    assert caplog.records == []


async def test_an_upgrade_behind_a_call_that_still_runs_does_not_mix_with_its_answer() -> None:
    may_answer = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "it is not served"
        await may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async with serving(slow) as (_, url):
        port = int(url.rpartition(":")[2].strip("/"))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + UPGRADE)
        await asyncio.sleep(0)
        may_answer.set()
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.endswith(b"\r\n\r\nok")


async def test_a_first_line_of_twenty_kilobytes_is_read() -> None:
    taker = Taker()
    async with serving(taker) as (_, url), connect(f"{url}?since={'x' * 20_000}", proxy=None) as client:
        assert await client.recv() == "welcome"
        assert len(taker.scopes[0]["query_string"]) > 20_000


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("x" * (LINE_MAX + 1), {}, 414),
        ("", {"X-Long": "x" * (LINE_MAX + 1)}, 431),
        ("", dict.fromkeys(map(str, range(FIELDS_MAX)), "x"), 431),
    ],
    ids=["first line", "header", "number of headers"],
)
async def test_a_request_that_is_too_large_is_answered_and_its_socket_given_up(
    path: str, headers: dict[str, str], status: int
) -> None:
    taker = Taker()
    async with serving(taker) as (server, url):
        with pytest.raises(InvalidStatus) as caught:
            await connect(url + path, proxy=None, additional_headers=headers, open_timeout=20)
        assert caught.value.response.status_code == status
        await until(lambda: not server.server_state.connections)
    assert taker.scopes == []


async def test_the_endpoint_finds_the_way_out_in_the_asgi_scope() -> None:
    taker = Taker()
    async with serving(taker) as (_, url), connect(url, proxy=None) as client:
        await client.recv()
        assert callable(taker.scopes[0]["extensions"][EXTENSION])
