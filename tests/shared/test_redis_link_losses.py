"""A connection to Redis that is lost, hangs or cannot be made."""

from __future__ import annotations

import asyncio
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import redis.asyncio as redis
import uvloop

from shared import redis_link
from shared.errors import OutcomeUnknown, RedisUnavailable
from shared.keys import Keys
from shared.redis_link import RedisLink
from shared.redis_wire import Wire
from tests.shared.links import connected, own_id
from tests.shared.redis_server import RecordingProxy, RedisServer, until
from tests.support.ports import free_port


async def test_without_a_server_commands_fail_at_once_and_nothing_is_sent() -> None:
    async with RedisLink(f"redis://127.0.0.1:{free_port()}/0", name="test") as link:
        assert not await link.wait_connected(0.05)
        assert not link.connected
        assert link.down_for > 0
        future = link.send("PING")
        assert future.done()
        with pytest.raises(RedisUnavailable):
            await future
        link.tell("SUBSCRIBE", "x")
        link.drop()


async def test_a_command_under_way_when_the_connection_is_killed_has_an_unknown_outcome(
    redis_server: RedisServer, link: RedisLink, keys: Keys
) -> None:
    async with RedisLink(redis_server.url, name="victim") as victim:
        number = await own_id(await connected(victim))
        waiting = victim.send("BLPOP", keys.stats, 0)
        queued = victim.send("PING")
        await until_blocked(link, number)
        await link.send("CLIENT", "KILL", "ID", number)
        for future in (waiting, queued):
            with pytest.raises(OutcomeUnknown):
                await future


async def until_blocked(link: RedisLink, number: int) -> None:
    async with asyncio.timeout(20):
        while b" cmd=blpop " not in await link.send("CLIENT", "LIST", "ID", number):
            await asyncio.sleep(0.005)


async def test_a_killed_connection_comes_back_by_itself(redis_server: RedisServer, link: RedisLink) -> None:
    async with RedisLink(redis_server.url, name="victim") as victim:
        number = await own_id(await connected(victim))
        await link.send("CLIENT", "KILL", "ID", number)
        await until(lambda: victim.reconnects == 1)
        assert await own_id(await connected(victim)) != number
        assert victim.down_for == 0.0


async def test_between_loss_and_return_commands_are_not_sent(proxy: RecordingProxy) -> None:
    async with RedisLink(proxy.url, name="test") as link:
        await connected(link)
        proxy.refusing = True
        proxy.cut()
        await until(lambda: not link.connected)
        with pytest.raises(RedisUnavailable):
            await link.send("ECHO", "lost in between")
        proxy.refusing = False
        await connected(link)
        assert await link.send("ECHO", "x") == b"x"
        assert b"lost in between" not in proxy.all_written


async def test_a_server_that_starts_anew_is_found_again(own_server: RedisServer) -> None:
    async with RedisLink(own_server.url, name="test") as link:
        await connected(link)
        await link.send("SET", "a", 1)
        own_server.kill()
        await until(lambda: not link.connected)
        own_server.start()
        await connected(link)
        assert await link.send("GET", "a") is None


async def test_a_server_that_hangs_is_noticed_and_its_connection_replaced(own_server: RedisServer) -> None:
    async with RedisLink(own_server.url, name="test", timeout=1.0) as link:
        number = await own_id(await connected(link))
        own_server.pause()
        asked = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            await link.send("PING")
        assert 1.0 <= time.monotonic() - asked < 10
        await until(lambda: not link.connected)
        own_server.go_on()
        assert await own_id(await connected(link)) != number


async def test_a_pause_of_the_process_itself_is_no_hang_of_the_server(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    monkeypatch.setattr(Wire, "overdue", lambda _, timeout: asked.append(timeout))
    async with RedisLink(redis_server.url, name="test", timeout=0.3) as link:
        await connected(link)
        await until(lambda: asked)
        asked.clear()
        asyncio.get_running_loop().call_soon(time.sleep, 1)  # nothing in it runs meanwhile
        await until(lambda: asked)
        assert asked[0] > 0.3 + 0.5, "whoever waits for an answer would be told that there is none, and it is unread"
        await until(lambda: min(asked) < 0.3 + 0.5)  # a server that hangs now is noticed


async def test_an_idle_connection_to_a_server_that_hangs_is_noticed_too(own_server: RedisServer) -> None:
    async with RedisLink(own_server.url, name="test", timeout=0.5) as link:
        await connected(link)
        own_server.pause()
        await until(lambda: not link.connected)
        own_server.go_on()
        await connected(link)


async def test_a_connection_that_is_dropped_is_made_anew(redis_server: RedisServer) -> None:
    async with RedisLink(redis_server.url, name="test") as link:
        number = await own_id(await connected(link))
        under_way = link.send("PING")
        link.drop()
        with pytest.raises(OutcomeUnknown):
            await under_way
        with pytest.raises(RedisUnavailable):
            await link.send("PING")
        await until(lambda: link.reconnects == 1)
        assert await own_id(await connected(link)) != number


async def test_connections_that_do_not_last_are_made_anew_ever_more_slowly(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    rest = redis_link._rest

    async def noted(pause: float) -> float:
        pauses.append(pause)
        return await rest(pause)

    monkeypatch.setattr(redis_link, "_rest", noted)
    async with RedisLink(redis_server.url, name="test") as link:
        for lost in range(1, 5):
            await connected(link)
            link.drop()
            await until(lambda lost=lost: link.reconnects == lost)
        await connected(link)
    assert pauses == [0.05, 0.1, 0.2, 0.4]


async def test_nobody_uses_a_new_connection_before_it_is_prepared(redis_server: RedisServer) -> None:
    prepared: list[Wire] = []
    let_go = asyncio.Event()

    async def prepare(wire: Wire) -> None:
        prepared.append(wire)
        assert await wire.send("ECHO", "x") == b"x"
        await let_go.wait()

    async with RedisLink(redis_server.url, name="test", prepare=prepare) as link:
        await until(lambda: prepared)
        assert not link.connected
        with pytest.raises(RedisUnavailable):
            await link.send("PING")
        let_go.set()
        await connected(link)
        link.drop()
        await until(lambda: len(prepared) == 2)


async def test_a_connection_that_cannot_be_prepared_is_tried_again(redis_server: RedisServer) -> None:
    attempts: list[Wire] = []

    async def prepare(wire: Wire) -> None:
        attempts.append(wire)
        if len(attempts) < 3:
            await wire.send("NO-SUCH-COMMAND")

    async with RedisLink(redis_server.url, name="test", prepare=prepare) as link:
        await connected(link)
        assert len(attempts) == 3


def test_a_server_that_resets_whoever_connects_is_only_away() -> None:
    """Under uvloop, as in the services: a write to a socket that was reset this moment fails in a way of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, resetting_server() as port:
        runner.run(_assert_only_away(f"redis://127.0.0.1:{port}/0"))


async def _assert_only_away(url: str) -> None:
    link = RedisLink(url, name="test")
    for _ in range(500):  # about 25 of them are reset in that very moment
        with pytest.raises((redis.RedisError, RedisUnavailable, OSError)):
            await link._connect()


@contextmanager
def resetting_server() -> Iterator[int]:
    """Accept and reset every connection; in a thread, so that it does so at any moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


async def test_a_link_that_dies_of_what_nobody_expected_stops_its_process(redis_server: RedisServer) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)

    async def prepare(wire: Wire) -> None:
        raise LookupError("nobody expected this")

    try:
        async with RedisLink(redis_server.url, name="test", prepare=prepare) as link:
            await asyncio.wait_for(stopped.wait(), 20)
            assert link._supervisor is not None
            with pytest.raises(LookupError):
                await link._supervisor
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
