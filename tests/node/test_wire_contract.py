"""How a WebSocket leaves uvicorn: what ``node/wire.py`` relies on in uvicorn, and what becomes of uvicorn's objects."""

from __future__ import annotations

import asyncio
import gc
import inspect

import pytest
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from node.wire import EXTENSION
from shared.serving import Server
from tests.node.upgrades import CALL, UPGRADE, Taker, saying, serving
from tests.shared.redis_server import until


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


@pytest.mark.parametrize(
    "requests", [[UPGRADE], [CALL, UPGRADE], [CALL, CALL]], ids=["a handshake", "one behind a call", "calls"]
)
def test_nothing_of_a_request_waits_for_the_garbage_collector(requests: list[bytes]) -> None:
    """Under uvloop, as in a node: asyncio's own connections are cycles."""

    async def come_and_go() -> int:
        taker = Taker()
        async with serving(taker) as (server, url):

            async def come(count: int) -> None:
                for _ in range(count):
                    reader, writer = await saying(url, *requests)
                    await reader.readuntil(b"\r\n\r\n")
                    writer.close()
                    await writer.wait_closed()
                await until(lambda: not server.server_state.connections)
                taker.sessions.clear()
                taker.scopes.clear()

            await come(5)  # what is made only once is made
            gc.collect()
            gc.disable()
            try:
                await come(20)
                return gc.collect()
            finally:
                gc.enable()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(come_and_go()) < 20


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


async def test_the_endpoint_finds_the_way_out_in_the_asgi_scope() -> None:
    taker = Taker()
    async with serving(taker) as (_, url), connect(url, proxy=None) as client:
        await client.recv()
        assert callable(taker.scopes[0]["extensions"][EXTENSION])
