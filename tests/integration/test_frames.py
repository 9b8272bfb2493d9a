"""What a client may say, and what happens to one that says anything else."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable

import pytest
from websockets.exceptions import InvalidStatus

from tests.support.client import Client
from tests.support.cluster import Cluster
from tests.support.raw_client import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    frame,
)
from tests.support.waiting import until_equal

COUNTERS = {"total_users", "total_user_connections", "total_admin_connections", "total_connections"}
UNKNOWN = {"type": "error", "code": "unknown_command"}


async def test_ping_is_answered_pong(cluster: Cluster) -> None:
    async with cluster.user(cluster.number()) as browser:
        await browser.send("ping")
        await browser.receive("pong")
        assert browser.texts[-1] == "pong"


async def test_get_stats_is_answered_with_the_four_counters(cluster: Cluster) -> None:
    async with cluster.user(cluster.number()) as browser, cluster.admin() as page:
        for client in (browser, page):
            stats = await client.stats()
            assert stats.keys() == COUNTERS | {"type"}
            assert stats["total_users"] >= 1
            assert stats["total_admin_connections"] >= 1
            assert stats["total_connections"] == stats["total_user_connections"] + stats["total_admin_connections"]


@pytest.mark.parametrize(
    "text",
    ["", "PING", "ping ", "pong", "你好", "{}", "[]", "null", '{"type":"ping"}', '{"type":"refresh"', "x" * 4096],
)
async def test_anything_else_is_an_unknown_command_and_does_no_harm(cluster: Cluster, text: str) -> None:
    async with cluster.user(cluster.number()) as browser:
        await browser.send(text)
        assert await browser.receive("error") == UNKNOWN
        await browser.nothing_else()


async def test_a_websocket_ping_is_answered_with_its_payload(cluster: Cluster) -> None:
    async with await cluster.raw(cluster.number()) as client:
        await client.send(frame(PING, b"are you there?"))
        assert await client.receive() == (PONG, b"are you there?")
        await client.send(frame(PONG, b"nobody asked"))
        await client.send(frame(TEXT, b"ping"))
        assert await client.receive_text() == "pong"


async def test_a_text_may_come_in_fragments_with_a_ping_in_between(cluster: Cluster) -> None:
    async with await cluster.raw(cluster.number()) as client:
        await client.send(frame(TEXT, b"get_", fin=False))
        await client.send(frame(CONTINUATION, b"sta", fin=False))
        await client.send(frame(PING, b"!"))
        assert await client.receive() == (PONG, b"!")
        await client.send(frame(CONTINUATION, b"ts"))
        assert json.loads(await client.receive_text())["type"] == "stats"


async def test_fragments_may_cut_a_character(cluster: Cluster) -> None:
    smile = "😀".encode()
    async with await cluster.raw(cluster.number()) as client:
        await client.send(frame(TEXT, smile[:2], fin=False) + frame(CONTINUATION, smile[2:]))
        assert json.loads(await client.receive_text()) == UNKNOWN


async def test_frames_may_come_byte_by_byte_or_many_at_once(cluster: Cluster) -> None:
    async with await cluster.raw(cluster.number()) as client:
        for byte in frame(TEXT, b"ping"):
            await client.send(bytes((byte,)))
            await asyncio.sleep(0)
        assert await client.receive_text() == "pong"
        await client.send(frame(TEXT, b"ping") * 3)
        assert [await client.receive_text() for _ in range(3)] == ["pong"] * 3


VIOLATIONS: dict[str, tuple[Callable[[], bytes], int]] = {
    "an unmasked frame": (lambda: frame(TEXT, b"ping", masked=False), 1002),
    "a reserved bit": (lambda: frame(TEXT, b"ping", reserved=0x40), 1002),
    "another reserved bit": (lambda: frame(TEXT, b"ping", reserved=0x10), 1002),
    "an unknown opcode": (lambda: frame(0x3, b""), 1002),
    "an unknown control opcode": (lambda: frame(0xB, b""), 1002),
    "a continuation of nothing": (lambda: frame(CONTINUATION, b"ping"), 1002),
    "a text within a text": (lambda: frame(TEXT, b"pi", fin=False) + frame(TEXT, b"ng"), 1002),
    "a fragmented ping": (lambda: frame(PING, b"", fin=False), 1002),
    "a ping of 126 bytes": (lambda: frame(PING, b"x" * 126), 1002),
    "a close with half a code": (lambda: frame(CLOSE, b"\x03"), 1002),
    "a close with a code nobody may send": (lambda: frame(CLOSE, struct.pack("!H", 1005)), 1002),
    "a close whose reason is no text": (lambda: frame(CLOSE, struct.pack("!H", 1000) + b"\xff"), 1007),
    "a binary frame": (lambda: frame(BINARY, b"ping"), 1003),
    "invalid UTF-8": (lambda: frame(TEXT, b"\xc3\x28"), 1007),
    "a surrogate": (lambda: frame(TEXT, b"\xed\xa0\x80"), 1007),
    "half a character": (lambda: frame(TEXT, "😀".encode()[:2]), 1007),
    "a frame over 4 KiB": (lambda: frame(TEXT, b"x" * 4097), 1009),
    "a frame of 1 MB": (lambda: frame(TEXT, b"x" * 1_000_000), 1009),
    "the head of 2 EB": (lambda: b"\x81\xff" + struct.pack("!Q", 2**61) + b"mask", 1009),
    "fragments over 4 KiB": (lambda: frame(TEXT, b"x" * 4000, fin=False) + frame(CONTINUATION, b"x" * 97), 1009),
}


@pytest.mark.parametrize("what", VIOLATIONS)
async def test_a_violation_of_the_protocol_is_closed_with_its_code_and_harms_nobody_else(
    cluster: Cluster, what: str
) -> None:
    make, code = VIOLATIONS[what]
    user = cluster.number()
    async with cluster.user(user) as bystander, await cluster.raw(user) as client:
        await client.send(make())
        assert (await client.receive_close())[0] == code
        await bystander.settled()


async def test_a_client_that_answers_the_close_is_let_go_at_once(cluster: Cluster) -> None:
    async with await cluster.raw(cluster.number()) as client:
        await client.send(frame(BINARY, b"ping"))
        await client.receive_close()
        await client.send(frame(CLOSE, struct.pack("!H", 1003)))
        await client.end_of_stream(timeout=4)  # after five a node waits for no close any longer


async def test_a_library_sees_the_codes_too(cluster: Cluster) -> None:
    for sent, code in ((b"bytes", 1003), ("x" * 1_000_000, 1009)):
        async with cluster.user(cluster.number()) as browser:
            await browser.send(sent)
            assert (await browser.closed())[0] == code


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
async def test_a_clients_close_is_answered_with_its_own_code(cluster: Cluster, code: int) -> None:
    async with await cluster.raw(cluster.number()) as client:
        await client.send(frame(CLOSE, struct.pack("!H", code) + "再见".encode()))
        assert (await client.receive_close())[0] == code
        await client.end_of_stream()


async def test_a_client_that_hangs_up_without_a_word_is_forgotten(cluster: Cluster) -> None:
    user = cluster.number()

    async def connections() -> int:
        return (await cluster.router.read(f"users/{user}/connections"))["connections"]

    async with await cluster.raw(user) as client:
        await until_equal(connections, 1)
        client.writer.transport.abort()
        await until_equal(connections, 0)


async def test_a_thousand_commands_a_second_are_too_many(cluster: Cluster) -> None:
    user = cluster.number()
    async with cluster.user(cluster.number()) as bystander, await cluster.raw(user) as client:
        await client.send(frame(TEXT, b"ping") * 1000)
        assert await client.receive_close() == (4429, "too many commands")
        await bystander.settled()


async def test_twenty_commands_a_second_are_not_too_many(cluster: Cluster) -> None:
    async with await cluster.raw(cluster.number()) as client:
        await client.send(frame(TEXT, b"ping") * 20)
        assert [await client.receive_text() for _ in range(20)] == ["pong"] * 20


async def test_a_client_that_stops_answering_is_a_zombie_and_is_cleaned_up(new_cluster) -> None:
    cluster = await new_cluster(HEARTBEAT_TIMEOUT="1", HEARTBEAT_INTERVAL="0.5")
    async with await cluster.raw("zombie") as zombie:
        assert await zombie.receive_close() == (4408, "no heartbeat")
        await until_equal(lambda: _connections(cluster, "zombie"), 0)
        await zombie.end_of_stream()  # although it never answers the close


async def test_a_heartbeat_keeps_a_client_alive(new_cluster) -> None:
    cluster = await new_cluster(routers=0, HEARTBEAT_TIMEOUT="5", HEARTBEAT_INTERVAL="0.5")
    async with cluster.user("lively") as lively, await cluster.raw("silent") as silent:
        assert lively.connected["heartbeat_interval_ms"] == 500
        closing = asyncio.create_task(silent.receive_close())
        while not closing.done():
            await lively.settled()
            await asyncio.wait((closing,), timeout=0.2)
        assert (await closing)[0] == 4408
        await lively.settled()


async def _connections(cluster: Cluster, user: str) -> int:
    return (await cluster.router.read(f"users/{user}/connections"))["connections"]


async def test_the_websocket_client_library_is_served_as_well(cluster: Cluster) -> None:
    websocket = pytest.importorskip("websocket")
    user = cluster.number()
    url = cluster.node.socket_url(token=cluster.tokens.user(user))

    def talk(ready: Callable[[], None]) -> list[str]:
        connection = websocket.create_connection(url, timeout=10)
        try:
            heard = [connection.recv()]
            connection.send("ping")
            heard.append(connection.recv())
            ready()
            heard.append(connection.recv())
            return heard
        finally:
            connection.close()

    loop, welcomed = asyncio.get_running_loop(), asyncio.Event()
    conversation = loop.run_in_executor(None, talk, lambda: loop.call_soon_threadsafe(welcomed.set))
    await asyncio.wait_for(welcomed.wait(), 10)
    await cluster.router.send({"users": [user]}, {"type": "你好", "text": "😀"})
    first, pong, message = await conversation
    assert json.loads(first)["user_id"] == user
    assert pong == "pong"
    assert json.loads(message)["text"] == "😀"


async def test_other_paths_are_no_websockets(cluster: Cluster) -> None:
    url = cluster.node.socket_url(token=cluster.tokens.user(1)).replace("/api/v1/ws?", "/api/v1/wss?")
    with pytest.raises(InvalidStatus):
        await Client.open(url)
