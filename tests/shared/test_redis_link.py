"""The one supervised connection to Redis, on a real server."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import redis.asyncio as redis
import uvloop

from shared import redis_link
from shared.errors import OutcomeUnknown, RedisRefused, RedisUnavailable
from shared.keys import Keys
from shared.redis_link import RedisLink
from shared.redis_wire import Wire
from tests.shared.redis_server import RecordingProxy, RedisServer, until
from tests.support.ports import free_port


@pytest.fixture
async def proxy(redis_server: RedisServer) -> AsyncIterator[RecordingProxy]:
    async with RecordingProxy(redis_server.port).running() as proxy:
        yield proxy


async def connected(link: RedisLink) -> RedisLink:
    assert await link.wait_connected(5)
    return link


async def own_id(link: RedisLink) -> int:
    number: int = await link.send("CLIENT", "ID")
    return number


# --- commands and replies


async def test_replies_come_to_those_who_asked_in_any_number(link: RedisLink) -> None:
    replies = await asyncio.gather(*(link.send("ECHO", str(number)) for number in range(5000)))
    assert replies == [str(number).encode() for number in range(5000)]


async def test_what_waits_in_one_loop_step_travels_together(proxy: RecordingProxy, keys: Keys) -> None:
    async with RedisLink(proxy.url, name="test") as link:
        await connected(link)
        proxy.written.clear()
        replies = await asyncio.gather(*(link.send("INCR", keys.stats) for _ in range(50)))
        assert replies == list(range(1, 51))
        assert len([chunk for chunk in proxy.written if b"INCR" in chunk]) == 1


async def test_a_server_that_refuses_is_named_in_the_log_once_and_not_at_every_command(
    link: RedisLink, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        with pytest.raises(RedisRefused):
            await link.send("INCR", keys.stats, "too", "many")
    (record,) = [record for record in caplog.records if record.getMessage() == "redis refuses a command"]
    assert "wrong number of arguments" in record.__dict__["error"]


async def test_commands_that_come_while_others_are_under_way_stay_in_order(link: RedisLink, keys: Keys) -> None:
    async def push(number: int) -> None:
        for _ in range(number % 4):
            await asyncio.sleep(0)
        sent.append(number)
        await link.send("RPUSH", keys.stats, number)

    sent: list[int] = []
    await asyncio.gather(*(push(number) for number in range(500)))
    assert [int(number) for number in await link.send("LRANGE", keys.stats, 0, -1)] == sent


async def test_a_server_that_was_demoted_is_left_for_whoever_is_the_master_now(own_server: RedisServer) -> None:
    async with RedisLink(own_server.url, name="test") as link:
        await connected(link)
        await link.send("REPLICAOF", "127.0.0.1", own_server.port)
        first, second = link.send("SET", "key", "1"), link.send("SET", "key", "2")
        with pytest.raises(RedisRefused, match="READONLY"):
            await first
        with pytest.raises(OutcomeUnknown):
            await second
        await until(lambda: link.reconnects == 1)
        await connected(link)


async def test_a_command_sent_from_a_replys_callback_is_answered(link: RedisLink) -> None:
    second: list[asyncio.Future[Any]] = []
    first = link.send("ECHO", "1")
    first.add_done_callback(lambda _: second.append(link.send("ECHO", "2")))
    assert await first == b"1"
    await until(lambda: second)
    assert await second[0] == b"2"


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (("ECHO", "用户"), "用户".encode()),
        (("ECHO", b"\x00\r\n\xff"), b"\x00\r\n\xff"),
        (("ECHO", 7), b"7"),
        (("ECHO", ""), b""),
        (("GET", "no such key"), None),
        (("HGETALL", "no such key"), {}),
        (("EXISTS", "no such key"), 0),
        (("HMGET", "no such key", "a", "b"), [None, None]),
    ],
)
async def test_arguments_and_replies_keep_their_kind(link: RedisLink, command: tuple[Any, ...], reply: Any) -> None:
    assert await link.send(*command) == reply


async def test_a_large_value_comes_back_whole(link: RedisLink) -> None:
    value = b"0123456789" * 500_000
    assert await link.send("ECHO", value) == value


async def test_an_error_reply_is_its_commands_alone(link: RedisLink, keys: Keys) -> None:
    before, wrong, after = (
        link.send("SET", keys.stats, 1),
        link.send("LPUSH", keys.stats, 1),
        link.send("GET", keys.stats),
    )
    with pytest.raises(RedisRefused, match="WRONGTYPE"):
        await wrong
    assert (await before, await after) == (b"OK", b"1")


async def test_a_caller_that_has_gone_leaves_the_others_their_replies(link: RedisLink) -> None:
    first, second, third = (link.send("ECHO", number) for number in (1, 2, 3))
    second.cancel()
    assert (await first, await third) == (b"1", b"3")


async def test_the_servers_clock_is_known(link: RedisLink) -> None:
    seconds, micros = await link.send("TIME")
    assert abs(link.server_ms() - (int(seconds) * 1000 + int(micros) // 1000)) < 100


async def test_the_server_knows_the_links_name(redis_server: RedisServer) -> None:
    async with RedisLink(redis_server.url, name="vsrt-some-link") as link:
        await connected(link)
        assert await link.send("CLIENT", "GETNAME") == b"vsrt-some-link"


# --- pushes


async def test_what_is_published_comes_as_pushes(redis_server: RedisServer, link: RedisLink, keys: Keys) -> None:
    pushes: list[list[Any]] = []
    async with RedisLink(redis_server.url, name="ear", on_push=pushes.append) as ear:
        await connected(ear)
        ear.tell("SUBSCRIBE", keys.all_channel)
        await until(lambda: pushes)
        for number in range(100):
            assert await link.send("PUBLISH", keys.all_channel, number) == 1
        await until(lambda: len(pushes) == 101)
        assert await ear.send("ECHO", "still") == b"still"
    channel = keys.all_channel.encode()
    assert list(pushes[0]) == [b"subscribe", channel, 1]
    assert [list(push) for push in pushes[1:]] == [[b"message", channel, b"%d" % number] for number in range(100)]


async def test_commands_and_pushes_on_one_connection_do_not_hold_each_other_up(
    redis_server: RedisServer, keys: Keys
) -> None:
    pushes: list[list[Any]] = []
    async with RedisLink(redis_server.url, name="both", on_push=pushes.append) as link:
        await connected(link)
        for number in range(50):
            echo = link.send("ECHO", number)
            link.tell("SUBSCRIBE", f"{keys.all_channel}:{number}")
            assert await link.send("ECHO", "x") == b"x"
            assert await echo == b"%d" % number
        await until(lambda: len(pushes) == 50)


# --- loss


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
    async with asyncio.timeout(5):
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
    async with RedisLink(own_server.url, name="test", timeout=0.3) as link:
        number = await own_id(await connected(link))
        own_server.pause()
        asked = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            await link.send("PING")
        assert 0.3 <= time.monotonic() - asked < 3
        await until(lambda: not link.connected)
        own_server.go_on()
        assert await own_id(await connected(link)) != number


async def test_an_idle_connection_to_a_server_that_hangs_is_noticed_too(own_server: RedisServer) -> None:
    async with RedisLink(own_server.url, name="test", timeout=0.2) as link:
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
            await asyncio.wait_for(stopped.wait(), 5)
            assert link._supervisor is not None
            with pytest.raises(LookupError):
                await link._supervisor
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)


# --- the end


async def test_leaving_ends_every_task_and_closes_every_socket(redis_server: RedisServer) -> None:
    async with RedisLink(redis_server.url, name="test") as link:
        await connected(link)
        under_way = link.send("BLPOP", "nothing comes here", 0)
        await asyncio.sleep(0)
    with pytest.raises(OutcomeUnknown):
        await under_way
    assert asyncio.all_tasks() == {asyncio.current_task()}
    del link
    gc.collect()  # an open socket would be a ResourceWarning, which is an error here


async def test_leaving_while_a_silent_server_lets_it_wait_leaves_nothing_behind() -> None:
    accepted: list[asyncio.StreamWriter] = []

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with RedisLink(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", name="test") as link:
        await until(lambda: accepted)
        assert not link.connected
    assert asyncio.all_tasks() == {asyncio.current_task()}
    del link
    gc.collect()
    accepted[0].transport.abort()
    server.close()
    await server.wait_closed()


async def test_leaving_without_a_server_leaves_nothing_behind() -> None:
    async with RedisLink(f"redis://127.0.0.1:{free_port()}/0", name="test"):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


# --- what we rely on in redis-py


async def test_redis_pys_connection_keeps_its_socket_where_we_take_it_over(redis_server: RedisServer) -> None:
    pool = redis.ConnectionPool.from_url(redis_server.url, protocol=3, client_name="contract")
    connection: Any = pool.make_connection()
    await connection.connect()
    transport = connection._writer.transport
    assert isinstance(transport, asyncio.Transport)
    assert transport.get_extra_info("peername")[1] == redis_server.port
    await connection.disconnect()
    assert transport.is_closing()
