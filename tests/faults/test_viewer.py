"""A viewer comes back as the specification has it, and complains of what may not happen to it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.cluster import Cluster
from tests.support.tcp_proxy import TcpProxy, Weather
from tests.support.viewer import Viewer
from tests.support.waiting import until

USER = 7
AUDIENCE = {"users": [USER]}


@pytest.fixture
async def cluster(new_cluster) -> Cluster:
    return await new_cluster(nodes=2, HISTORY_LENGTH="1")


@pytest.fixture
async def proxies(cluster: Cluster) -> AsyncIterator[list[TcpProxy]]:
    async with TcpProxy(cluster.nodes[0].port) as one, TcpProxy(cluster.nodes[1].port) as other:
        yield [one, other]


@asynccontextmanager
async def watching(cluster: Cluster, proxies: list[TcpProxy], *, token: str = "") -> AsyncIterator[Viewer]:
    token = token or cluster.tokens.user(USER)
    ports = [proxy.port for proxy in proxies]
    viewer = Viewer("viewer", token, ports, admin=False, dice=random.Random(1), ping_every=1.0)
    task = asyncio.create_task(viewer.watch())
    try:
        yield viewer
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def send(cluster: Cluster, count: int) -> list[str]:
    items = [{"audience": AUDIENCE, "message": {"type": "numbered", "n": n}} for n in range(count)]
    answer = await cluster.router.post("messages/batch", {"items": items})
    return [result["id"] for result in answer.json()["results"]]


def ids(viewer: Viewer) -> list[str]:
    return [received.message["id"] for received in viewer.received]


async def welcomed(viewer: Viewer) -> None:
    await until(lambda: viewer.at is not None)


@pytest.mark.parametrize("weather", [Weather.RESET, Weather.SWALLOW])
async def test_a_viewer_that_is_cut_off_comes_back_for_what_it_missed(
    cluster: Cluster, proxies: list[TcpProxy], weather: Weather
) -> None:
    async with watching(cluster, proxies) as viewer:
        await welcomed(viewer)
        sent = await send(cluster, 2)
        await until(lambda: ids(viewer) == sent)
        for proxy in proxies:
            proxy.become(weather)
        await until(lambda: viewer.at is None)  # without a sign, by the pongs that do not come
        sent += await send(cluster, 2)
        for proxy in proxies:
            proxy.become(Weather.CLEAR)
        await until(lambda: ids(viewer) == sent)
        assert viewer.welcomes == [None, True]
        assert viewer.complaints == []


async def test_a_viewer_whose_node_leaves_waits_as_long_as_it_was_asked_to(
    cluster: Cluster, proxies: list[TcpProxy]
) -> None:
    async with watching(cluster, proxies) as viewer:
        await welcomed(viewer)
        leaving = cluster.nodes[viewer.at or 0]
        await leaving.terminate()
        await until(lambda: len(viewer.welcomes) == 2)
        assert viewer.welcomes == [None, True]
        assert viewer.closes[1012] == 1


async def test_a_viewer_beyond_historys_reach_complains(cluster: Cluster, proxies: list[TcpProxy]) -> None:
    async with watching(cluster, proxies) as viewer:
        await welcomed(viewer)
        await send(cluster, 2)
        await until(lambda: len(viewer.received) == 2)
        for proxy in proxies:
            proxy.become(Weather.RESET)
        await until(lambda: viewer.at is None)
        await send(cluster, 400)  # trimmed by whole blocks of a hundred
        for proxy in proxies:
            proxy.become(Weather.CLEAR)
        await until(lambda: viewer.welcomes == [None, False])
        assert [complaint[:15] for complaint in viewer.complaints] == ["recovered False"]


async def test_a_viewer_that_is_refused_complains(cluster: Cluster, proxies: list[TcpProxy]) -> None:
    async with watching(cluster, proxies, token="no token") as viewer:
        await until(lambda: viewer.complaints)
        assert viewer.complaints[0] == "closed with 4401"
