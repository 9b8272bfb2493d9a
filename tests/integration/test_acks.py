"""A client that says when it has shown a message ends its trace; all others notice nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from tests.support.client import dial
from tests.support.cluster import Cluster
from tests.support.collector import Collector, is_child
from tests.support.redis_server import RedisServer

CHAIN = ["POST /api/v1/messages", "send users", "process users"]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector().running() as collector:
        yield collector


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(
    redis_server: RedisServer, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cluster]:
    cluster = Cluster(redis_server, tmp_path_factory.mktemp("cluster"), **collector.env)
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.close()
    assert cluster.complaints() == []


@asynccontextmanager
async def acknowledging(cluster: Cluster, user: int, **query: str) -> AsyncIterator[Any]:
    """Connect as a browser that acknowledges."""
    query = {"token": cluster.tokens.user(user), "acks": "1"} | query
    async with dial(cluster.node.socket_url(**query)) as socket:
        assert json.loads(await socket.recv())["type"] == "connected"
        yield socket


async def send(cluster: Cluster, user: int, **request: Any) -> str:
    body = {"audience": {"users": [user]}, "message": {"type": "hello"}}
    return (await cluster.router.post("messages", body, **request)).json()["trace_id"]


async def test_the_trace_ends_where_the_browser_says_that_it_has_shown_it(
    cluster: Cluster, collector: Collector
) -> None:
    user = cluster.number()
    async with acknowledging(cluster, user) as browser:
        trace_id = await send(cluster, user)
        assert json.loads(await browser.recv())["type"] == "hello"
        word, number = (await browser.recv()).split()
        assert word == "ack"
        await browser.send(f"ack {number} 0.25")
        trace = await collector.complete(trace_id, [*CHAIN, "display"])
    process, display = trace.one("process users"), trace.one("display")
    assert is_child(display, process)
    assert display.start_ns == process.end_ns
    assert display.attributes["vsrt.held.duration"] == 0.00025
    network = display.attributes["vsrt.network.duration"]
    assert 0 < network < 10
    assert display.duration_ns == pytest.approx((network / 2 + 0.00025) * 1e9, abs=1000)


async def test_one_of_several_clients_is_asked(cluster: Cluster) -> None:
    user = cluster.number()
    async with acknowledging(cluster, user) as one, acknowledging(cluster, user) as other:
        await send(cluster, user)
        heard = []
        for socket in (one, other):
            assert json.loads(await socket.recv())["type"] == "hello"
            await socket.send("ping")
            while (frame := await socket.recv()) != "pong":
                heard.append(frame.split()[0])
        assert heard == ["ack"]


async def test_who_does_not_ask_for_it_gets_nothing_but_messages(cluster: Cluster, collector: Collector) -> None:
    user = cluster.number()
    async with cluster.user(user) as client:
        trace_id = await send(cluster, user)
        await collector.complete(trace_id, CHAIN)
        await client.receive("hello")
        await client.nothing_else()
        await client.send("ack 1 0")
        assert (await client.receive("error"))["code"] == "unknown_command"
    async with acknowledging(cluster, user, acks="yes") as client:
        await client.send("ack 1 0")
        assert json.loads(await client.recv())["code"] == "unknown_command"


async def test_of_a_message_that_is_not_sampled_nobody_is_asked(cluster: Cluster) -> None:
    user = cluster.number()
    async with acknowledging(cluster, user) as browser:
        await send(cluster, user, headers={"traceparent": f"00-{'5' * 32}-{'6' * 16}-00"})
        assert json.loads(await browser.recv())["type"] == "hello"
        await browser.send("ping")
        assert await browser.recv() == "pong"


async def test_nonsense_does_no_harm_and_makes_no_span(cluster: Cluster, collector: Collector) -> None:
    user = cluster.number()
    async with acknowledging(cluster, user) as browser:
        trace_id = await send(cluster, user)
        await browser.recv()
        number = int((await browser.recv()).split()[1])
        for word in (f"ack {number + 1} 1", "ack", "ack ", f"ack {number} 999999", f"ack {number} 1"):
            await browser.send(word)
        await browser.send("ping")
        assert json.loads(await browser.recv())["code"] == "unknown_command", "a bare ack is none of ours"
        assert await browser.recv() == "pong"
        fence = await send(cluster, user)
        await collector.complete(fence, CHAIN)
    assert "display" not in collector.trace(trace_id).names
