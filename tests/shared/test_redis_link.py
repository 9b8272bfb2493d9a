"""The one supervised connection to Redis, on a real server."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
import redis.asyncio as redis

from shared.errors import OutcomeUnknown, RedisRefused
from shared.keys import Keys
from shared.redis_link import RedisLink
from tests.shared.links import connected
from tests.shared.redis_server import RecordingProxy, RedisServer, until
from tests.support.ports import free_port

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
    before = link.server_ms()
    seconds, micros = await link.send("TIME")
    assert before - 100 < int(seconds) * 1000 + int(micros) // 1000 < link.server_ms() + 100


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
