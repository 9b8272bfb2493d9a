"""The network that can be broken breaks as it says: or the fault suite would prove nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.ports import LOOPBACK, free_port
from tests.support.tcp_proxy import TcpProxy, Weather
from tests.support.waiting import until

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class EchoServer:
    """Sends back what it is sent; counts who is connected."""

    def __init__(self) -> None:
        self.port = free_port()
        self.connected = 0
        self.heard = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected += 1
        try:
            while data := await reader.read(65536):
                self.heard += data
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.connected -= 1
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[EchoServer]:
    echo = EchoServer()
    listening = await asyncio.start_server(echo.serve, LOOPBACK, echo.port)
    yield echo
    listening.close()


@pytest.fixture
async def proxy(server: EchoServer) -> AsyncIterator[TcpProxy]:
    async with TcpProxy(server.port) as proxy:
        yield proxy


@asynccontextmanager
async def connected(proxy: TcpProxy) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def echo(streams: Streams, text: bytes, timeout: float = 20) -> bytes:
    reader, writer = streams
    writer.write(text)
    return await asyncio.wait_for(reader.readexactly(len(text)), timeout)


async def is_mute(streams: Streams) -> bool:
    try:
        await echo(streams, b"anybody there?", 0.3)
    except TimeoutError:
        return True
    return False


async def test_in_clear_weather_bytes_and_ends_pass(proxy: TcpProxy, server: EchoServer) -> None:
    async with connected(proxy) as streams:
        much = b"x" * 3_000_000
        assert await echo(streams, much) == much
        assert server.connected == 1
    await until(lambda: server.connected == 0)
    await until(lambda: not proxy.pipes)


async def test_a_reset_ends_what_is_there_and_what_comes(proxy: TcpProxy, server: EchoServer) -> None:
    async with connected(proxy) as streams:
        await echo(streams, b"hello")
        proxy.become(Weather.RESET)
        with pytest.raises(ConnectionResetError):
            await streams[0].readexactly(1)
        await until(lambda: server.connected == 0)
        async with connected(proxy) as others:
            with pytest.raises(ConnectionResetError):
                await others[0].readexactly(1)
        proxy.become(Weather.CLEAR)
    async with connected(proxy) as streams:
        await echo(streams, b"hello")


async def test_a_connection_that_lost_bytes_stays_dead_and_nobody_is_told(proxy: TcpProxy, server: EchoServer) -> None:
    async with connected(proxy) as hurt, connected(proxy) as idle:
        await echo(hurt, b"hello")
        await echo(idle, b"hello")
        proxy.become(Weather.SWALLOW)
        assert await is_mute(hurt)
        async with connected(proxy) as late:
            assert await is_mute(late)
            proxy.become(Weather.CLEAR)
            assert await is_mute(late)
        assert await is_mute(hurt)
        assert await echo(idle, b"still here") == b"still here"
        assert proxy.swallowed > 0
        hurt[1].transport.abort()
        await echo(idle, b"a round trip later")
        assert server.connected == 2


async def test_when_answers_are_lost_what_was_asked_is_heard_all_the_same(proxy: TcpProxy, server: EchoServer) -> None:
    async with connected(proxy) as streams:
        await echo(streams, b"hello")
        proxy.become(Weather.MUTE)
        assert await is_mute(streams)
        await until(lambda: server.heard.endswith(b"anybody there?"))
        proxy.become(Weather.CLEAR)
        assert await is_mute(streams)
        assert server.heard.count(b"anybody there?") == 1
    async with connected(proxy) as others:
        await echo(others, b"hello")


async def test_what_is_held_arrives_whole_and_in_order_when_the_weather_clears(proxy: TcpProxy) -> None:
    async with connected(proxy) as (reader, writer):
        await echo((reader, writer), b"hello")
        proxy.become(Weather.HOLD)
        writer.write(b"one ")
        assert await is_mute((reader, writer))
        async with connected(proxy) as late:
            assert await is_mute(late)
            proxy.become(Weather.CLEAR)
            assert await asyncio.wait_for(late[0].readexactly(14), 20) == b"anybody there?"
        assert await asyncio.wait_for(reader.readexactly(18), 20) == b"one anybody there?"


async def test_delayed_bytes_come_late_and_are_not_overtaken(proxy: TcpProxy) -> None:
    async with connected(proxy) as (reader, writer):
        await echo((reader, writer), b"hello")
        proxy.become(Weather.DELAY, delay=0.2)
        started = time.monotonic()
        await echo((reader, writer), b"hello")
        assert time.monotonic() - started >= 0.4  # there and back
        writer.write(b"late, ")
        while not any(pipe.far._late for pipe in proxy.pipes):
            await asyncio.sleep(0)  # a longer look away, and it would be there
        proxy.become(Weather.CLEAR)
        assert await echo((reader, writer), b"later.") == b"late, "
        assert await asyncio.wait_for(reader.readexactly(6), 20) == b"later."


async def test_a_server_that_is_away_resets_who_connects(proxy: TcpProxy) -> None:
    async with TcpProxy(free_port()) as nowhere, connected(nowhere) as (reader, _):
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
