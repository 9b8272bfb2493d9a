"""Event streams and polls through the shipped configurations of nginx and HAProxy."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.client import welcomed
from tests.support.cluster import Cluster, Message
from tests.support.event_stream import EventStream, events_path
from tests.support.proxies import Proxy, haproxy, nginx
from tests.support.waiting import until_equal

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROUNDS = 60


async def test_events_come_by_stream_as_quickly_as_by_socket(cluster: Cluster, proxy: Proxy) -> None:
    """Each is sent when the one before has come. A proxy that gathers would hold up the first, or each for a while."""
    one, other = cluster.number(), cluster.number()
    rounds = {"socket": 0, "stream": 0}

    async def play(name: str, user: int, receive: Callable[[str], Awaitable[Message]]) -> None:
        while True:
            await cluster.router.send({"users": [user]}, {"type": "move"})
            await receive("move")
            rounds[name] += 1

    async with (
        await welcomed(proxy.socket_url(token=cluster.tokens.user(one))) as socket,
        EventStream.welcomed(proxy, cluster.tokens.user(other)) as stream,
    ):
        players = [
            asyncio.create_task(play("socket", one, socket.receive)),
            asyncio.create_task(play("stream", other, stream.receive)),
        ]
        try:
            while max(rounds.values()) < ROUNDS:
                assert not any(player.done() for player in players)
                await asyncio.sleep(0.01)
        finally:
            for player in players:
                player.cancel()
            await asyncio.gather(*players, return_exceptions=True)
    assert rounds["stream"] > rounds["socket"] / 2, rounds


async def test_last_event_id_leads_on_and_counts_before_since(cluster: Cluster, proxy: Proxy) -> None:
    user = cluster.number()
    token = cluster.tokens.user(user)

    async def send(count: int) -> list[str]:
        return [(await cluster.router.send({"users": [user]}, {"type": "event"}))["id"] for _ in range(count)]

    async with EventStream.welcomed(proxy, token) as stream:
        began_at = stream.last_event_id
        seen = await send(2)
        assert [(await stream.receive("event"))["id"] for _ in seen] == seen
        left_at = stream.last_event_id
    missed = await send(3)
    async with EventStream.welcomed(proxy, token, since=began_at, last_event_id=left_at) as stream:
        assert stream.connected["recovered"] is True
        assert [(await stream.receive("event"))["id"] for _ in missed] == missed


async def test_a_refusal_of_a_stream_is_a_status(proxy: Proxy) -> None:
    async with EventStream.open(proxy, "garbage") as stream:
        assert stream.response.status_code == 401


async def test_a_waiting_poll_is_woken(cluster: Cluster, proxy: Proxy) -> None:
    user = cluster.number()
    since = (await poll(cluster, proxy, user)).json()["cursor"]
    waits = asyncio.create_task(poll(cluster, proxy, user, since=since, wait=25))
    await until_equal(lambda: connections(cluster, user), 1)
    published = (await cluster.router.send({"users": [user]}, {"type": "event"}))["id"]
    assert [event["id"] for event in (await waits).json()["events"]] == [published]


async def test_who_leaves_is_not_kept_by_the_proxy(cluster: Cluster, proxy: Proxy) -> None:
    """Else a page that is loaded again and again would have too many connections."""
    user = cluster.number()
    async with EventStream.welcomed(proxy, cluster.tokens.user(user)):
        await until_equal(lambda: connections(cluster, user), 1)
    await until_equal(lambda: connections(cluster, user), 0)
    since = (await poll(cluster, proxy, user)).json()["cursor"]
    waits = asyncio.create_task(poll(cluster, proxy, user, since=since, wait=25))
    await until_equal(lambda: connections(cluster, user), 1)
    waits.cancel()
    await until_equal(lambda: connections(cluster, user), 0)


async def poll(cluster: Cluster, proxy: Proxy, user: int, **query: Any) -> httpx.Response:
    async with proxy.http(timeout=60) as http:
        headers = {"Authorization": f"Bearer {cluster.tokens.user(user)}"}
        return await http.get(events_path(), params=query, headers=headers)


async def connections(cluster: Cluster, user: int) -> int:
    return (await cluster.router.read(f"users/{user}/connections"))["connections"]


@pytest.mark.parametrize("make", [nginx, haproxy])
async def test_a_node_that_leaves_ends_its_streams_in_order(
    cluster: Cluster, tmp_path: Path, make: Callable[..., Proxy]
) -> None:
    leaving, staying = [await cluster.start_node(DRAIN_SECONDS="1") for _ in range(2)]
    proxy = make([leaving, staying], tmp_path / "proxy")
    await proxy.start()
    token = cluster.tokens.user(user := cluster.number())
    try:
        async with EventStream.welcomed(proxy, token) as first, EventStream.welcomed(proxy, token) as second:
            leaving.signal(signal.SIGTERM)
            done, _ = await asyncio.wait(
                [
                    asyncio.create_task(stream.ended(timeout=60), name=str(n))
                    for n, stream in enumerate((first, second))
                ],
                return_when=asyncio.FIRST_COMPLETED,
                timeout=60,
            )
            gone = (first, second)[int(done.pop().get_name())]
            assert (gone.close, gone.broken) == ({"code": 1012, "reason": "this node leaves"}, False)
            async with EventStream.welcomed(proxy, token, last_event_id=gone.last_event_id) as back:
                await cluster.router.send({"users": [user]}, {"type": "still_there"})
                await back.receive("still_there")
    finally:
        await proxy.end()
        await leaving.end()
        await staying.end()
