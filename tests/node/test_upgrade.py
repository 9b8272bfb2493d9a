"""A request for a WebSocket, from its head to its answer, whatever becomes of it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from node.opening import FIELDS_MAX, LINE_MAX
from shared.asgi import Receive, Scope, Send
from tests.node.upgrades import CALL, UPGRADE, Taker, saying, serving
from tests.shared.redis_server import until


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


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_client_that_leaves_before_it_is_let_in_is_no_failure(
    caplog: pytest.LogCaptureFixture, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """Under uvloop, as in a node, too: there a transport that is closed raises at a write."""

    async def leave() -> None:
        arrived, gone = asyncio.Event(), asyncio.Event()

        async def hesitate(scope: Scope, receive: Receive, send: Send) -> None:
            arrived.set()
            await gone.wait()
            await send({"type": "websocket.accept"})

        async with serving(hesitate) as (server, url):
            _, writer = await saying(url, UPGRADE)
            await arrived.wait()
            (connection,) = server.server_state.connections
            writer.transport.abort()
            connection._transport.abort()  # type: ignore[union-attr]  # it is not read: only writing would tell
            await until(lambda: not server.server_state.connections)
            gone.set()
            await until(lambda: not server.server_state.tasks)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(leave())
    assert caplog.records == []


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (UPGRADE.replace(b": websocket", b": WebSocket \t"), b"101"),  # what is around a value is not part of it
        (UPGRADE + b"\x81\x84\0\0\0\0ping", b"400"),
        (UPGRADE + CALL, b"400"),
    ],
    ids=["spaces", "a frame behind it", "a call behind it"],
)
async def test_a_request_is_answered_as_a_whole(said: bytes, status: bytes) -> None:
    taker = Taker()
    async with serving(taker) as (_, url):
        reader, writer = await saying(url, said)
        assert (await asyncio.wait_for(reader.readline(), 5)).split()[1] == status
        writer.close()
    assert bool(taker.sessions) is (status == b"101")


async def test_an_upgrade_behind_a_call_that_still_runs_does_not_mix_with_its_answer() -> None:
    may_answer = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "it is not served"
        await may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async with serving(slow) as (_, url):
        reader, writer = await saying(url, CALL + UPGRADE)
        await asyncio.sleep(0)
        may_answer.set()
        answer = await asyncio.wait_for(reader.read(), 5)
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
async def test_a_requestthat_is_too_large_is_answered_and_its_socket_given_up(
    path: str, headers: dict[str, str], status: int
) -> None:
    taker = Taker()
    async with serving(taker) as (server, url):
        with pytest.raises(InvalidStatus) as caught:
            await connect(url + path, proxy=None, additional_headers=headers, open_timeout=20)
        assert caught.value.response.status_code == status
        await until(lambda: not server.server_state.connections)
    assert taker.scopes == []
