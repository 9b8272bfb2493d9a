"""What the way of an event stream out of uvicorn relies on in its HTTP protocol: its names, and what they do."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from node.event_stream import EventStream, end_when_unacknowledged
from node.frames import text_frame
from node.wire import NodeProtocol, stream_exit
from shared.asgi import Receive, Scope, Send
from tests.node.fakes import Host
from tests.node.upgrades import serving
from tests.shared.redis_server import until


class Taker:
    """Takes the connection over, begins the answer, and returns."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.host = Host()
        self.sessions: list[EventStream] = []
        self._refuses = refuses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        way_out = stream_exit(scope)
        session = way_out.take_over(self._make)
        self.sessions.append(session)
        if self._refuses:
            headers = [(b"content-length", b"2")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": b"no"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})
        way_out.let_go()
        session.welcome(text_frame(b"welcome"), (), [])

    def _make(self, transport: asyncio.Transport, descriptor: int) -> EventStream:
        end_when_unacknowledged(transport, 75)
        host: Any = self.host
        return EventStream(host, transport, is_admin=False, descriptor=descriptor)


@contextlib.asynccontextmanager
async def reading(url: str) -> AsyncIterator[tuple[httpx.Response, AsyncIterator[str]]]:
    async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", url) as response:
        yield response, response.aiter_lines()


async def line(lines: AsyncIterator[str], wanted: str) -> None:
    async for each in lines:
        if each == wanted:
            return
    raise AssertionError(f"no {wanted!r}")


@pytest.mark.parametrize("name", ["on_headers_complete", "on_response_complete", "connection_lost", "shutdown"])
def test_the_methods_are_where_they_were(name: str) -> None:
    assert callable(getattr(HttpToolsProtocol, name))


@pytest.mark.parametrize("name", ["scope", "cycle", "connections", "transport", "flow"])
def test_the_attributes_are_where_they_were(name: str) -> None:
    assert f"self.{name}" in inspect.getsource(HttpToolsProtocol)


@pytest.mark.parametrize("name", ["transport", "disconnected", "keep_alive"])
def test_the_attributes_of_a_request_are_where_they_were(name: str) -> None:
    assert f"self.{name} = " in inspect.getsource(RequestResponseCycle)


async def test_a_stream_lives_on_after_its_endpoint_returned() -> None:
    taker = Taker()
    async with serving(taker, "http") as (server, url), reading(url) as (response, lines):
        assert response.headers["x-own"] == "1"
        await line(lines, "data: welcome")
        await until(lambda: not server.server_state.tasks)
        assert not server.server_state.connections
        (stream,) = taker.sessions
        stream.write(text_frame("还在".encode()))
        await line(lines, "data: 还在")
        assert stream.transport.get_write_buffer_limits() == (0, 0)
        stream.close(1012, "leaving")
        await line(lines, 'data: {"code":1012,"reason":"leaving"}')
        assert [each async for each in lines] == [""]
    assert taker.host.closed_calls == [stream]


async def test_uvicorns_shutdown_does_not_touch_a_stream() -> None:
    taker = Taker()
    async with serving(taker, "http") as (server, url), reading(url) as (_, lines):
        await line(lines, "data: welcome")
        server.should_exit = True
        await until(lambda: not server.servers or not any(s.is_serving() for s in server.servers))
        taker.sessions[0].write(text_frame(b"still"))
        await line(lines, "data: still")
        taker.sessions[0].close(1012, "leaving")


async def test_a_client_that_is_gone_is_noticed_by_its_session() -> None:
    taker = Taker()
    async with serving(taker, "http") as (_, url):
        async with reading(url) as (_, lines):
            await line(lines, "data: welcome")
        await until(lambda: taker.host.closed_calls)
        assert taker.sessions[0].close_code == 1006


async def test_a_whole_answer_ends_a_connection_that_was_taken_over() -> None:
    taker = Taker(refuses=True)
    async with serving(taker, "http") as (_, url), reading(url) as (response, lines):
        assert response.status_code == 403
        assert [each async for each in lines] == ["no"]
        await until(lambda: taker.host.closed_calls)


async def test_the_deadline_of_half_requests_is_over_for_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NodeProtocol, "request_timeout", 1)
    taker = Taker()
    async with serving(taker, "http") as (_, url), reading(url) as (_, lines):
        await line(lines, "data: welcome")
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(1.2, over.set)
        await over.wait()
        taker.sessions[0].write(text_frame(b"still"))
        await line(lines, "data: still")


async def test_any_other_request_is_answered_as_ever() -> None:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async with serving(answer, "http") as (_, url), httpx.AsyncClient(trust_env=False) as client:
        for _ in range(2):
            assert (await client.get(url)).text == "ok"
