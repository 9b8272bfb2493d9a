"""Loss on the bus, injected between Redis and a node: clients that stay connected get everything once and in order."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from tests.support.client import Client
from tests.support.cluster import Cluster
from tests.support.redis_proxy import EAR, Fate, Judge, RedisProxy, everything_passes
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

TOPS_ARE_COMPARED = 20.0  # s at most: every ten, on a slow machine


pytestmark = pytest.mark.asyncio(loop_scope="module")  # the proxy's loop has to run while the tests do


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_proxy(redis_server: RedisServer) -> AsyncIterator[RedisProxy]:
    async with RedisProxy(redis_server.port).running() as proxy:
        yield proxy


@pytest.fixture
def proxy(running_proxy: RedisProxy) -> Iterator[RedisProxy]:
    yield running_proxy
    running_proxy.judge = everything_passes
    running_proxy.met.clear()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(
    redis_server: RedisServer, running_proxy: RedisProxy, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cluster]:
    """One node, which hears through the proxy."""
    cluster = Cluster(redis_server, tmp_path_factory.mktemp("cluster"))
    try:
        await cluster.start(nodes=0)
        await cluster.start_node(REDIS_URL=running_proxy.url)
        yield cluster
    finally:
        await cluster.close()


def fates(of: dict[int, Fate]) -> Judge:
    """Judge numbered events by their number."""

    def judge(payload: bytes) -> Fate:
        number = re.search(rb'"n":(\d+)', payload)
        return of.get(int(number[1]), Fate.PASS) if number else Fate.PASS

    return judge


def at_random(seed: int) -> Judge:
    dice = random.Random(seed)
    return lambda _: dice.choices((Fate.PASS, Fate.LOSE, Fate.DOUBLE, Fate.SWAP), (4, 1, 1, 1))[0]


async def send(cluster: Cluster, audience: Any, count: int, first: int = 0) -> list[str]:
    return [(await cluster.router.send(audience, {"type": "event", "n": n}))["id"] for n in range(first, first + count)]


async def assert_got(client: Client, ids: list[str], *, timeout: float = 15) -> None:
    received = await client.receive_many("event", len(ids), timeout=timeout)
    assert [message["id"] for message in received] == ids
    await client.nothing_else()


@pytest.mark.parametrize("audience", ["user", "admin", "all"])
@pytest.mark.parametrize("fate", [Fate.LOSE, Fate.DOUBLE, Fate.SWAP], ids=lambda fate: fate.name.lower())
async def test_a_publish_that_meets_a_fate_is_set_right_by_the_next(
    cluster: Cluster, proxy: RedisProxy, fate: Fate, audience: str
) -> None:
    async with cluster.user("alice") as alice, cluster.admin("root") as page:
        proxy.judge = fates({2: fate, 5: fate, 6: fate})
        to = {"user": {"users": ["alice"]}}.get(audience, audience)
        ids = await send(cluster, to, 10)
        for client in {"user": (alice,), "admin": (page,), "all": (alice, page)}[audience]:
            await assert_got(client, ids)
        assert proxy.met[fate] == 3
        await cluster.nobody_hears(alice, page)


async def test_traffic_of_all_kinds_over_a_bus_that_loses_doubles_and_swaps_arrives_once_and_in_order(
    cluster: Cluster, proxy: RedisProxy
) -> None:
    users = [f"u{i}" for i in range(5)]
    dice = random.Random(4)
    sent: dict[str, list[str]] = {audience: [] for audience in (*users, "admin", "all")}
    async with AsyncExitStack() as stack:
        browsers = {user: await stack.enter_async_context(cluster.user(user)) for user in users}
        page = await stack.enter_async_context(cluster.admin("root"))
        proxy.judge = at_random(4)
        for n in range(300):
            name = dice.choice([*users, "admin", "all"])
            audience = {"users": [name]} if name in browsers else name
            sent[name].append((await cluster.router.send(audience, {"type": "event", "n": n}))["id"])
        assert min(proxy.met[fate] for fate in Fate) > 10
        proxy.judge = everything_passes
        for audience in (*({"users": [user]} for user in users), "admin", "all"):
            name = audience if isinstance(audience, str) else audience["users"][0]
            sent[name] += await send(cluster, audience, 1, first=1000)
        for name, client in {**browsers, "admin": page}.items():
            wanted = len(sent[name]) + len(sent["all"])
            received = [m["id"] for m in await client.receive_many("event", wanted)]
            assert [id for id in received if not id.startswith("all.")] == sent[name]
            assert [id for id in received if id.startswith("all.")] == sent["all"]
            await client.nothing_else()


async def test_the_last_messages_of_all_streams_are_found_missing_though_nothing_comes_after_them(
    cluster: Cluster, proxy: RedisProxy
) -> None:
    async with cluster.user("alice") as alice, cluster.user("bob") as bob, cluster.admin("root") as page:
        proxy.judge = lambda _: Fate.LOSE
        own = await send(cluster, {"users": ["alice"]}, 1)
        admins = await send(cluster, "admin", 1)
        everyone = await send(cluster, "all", 1)
        await until(lambda: proxy.met[Fate.LOSE] == 3)
        assert sorted(await ids_of(alice, 2)) == sorted(own + everyone)
        assert await ids_of(bob, 1) == everyone
        assert sorted(await ids_of(page, 2)) == sorted(admins + everyone)
        proxy.judge = everything_passes
        await cluster.nobody_hears(alice, bob, page)


async def ids_of(client: Client, count: int) -> list[str]:
    return [message["id"] for message in await client.receive_many("event", count, timeout=TOPS_ARE_COMPARED)]


async def test_a_state_lost_on_the_bus_is_found_missing_by_admins_and_its_owner_and_so_is_its_end(
    cluster: Cluster, proxy: RedisProxy
) -> None:
    async with cluster.user("olga") as olga, cluster.admin("root") as page:
        await progress(cluster, 10)
        assert [await shown(client) for client in (olga, page)] == [10, 10]
        proxy.judge = lambda _: Fate.LOSE
        await progress(cluster, 20)
        await until(lambda: proxy.met[Fate.LOSE] == 2)  # the admins' and the owner's
        assert [await shown(client) for client in (olga, page)] == [20, 20]
        proxy.judge = everything_passes
        await progress(cluster, 30)
        assert [await shown(client) for client in (olga, page)] == [30, 30]
        proxy.judge = lambda _: Fate.LOSE
        await cluster.router.notify("transcode_failed", video_id=5, title="t", error="e")
        await page.receive("transcode_failed", timeout=TOPS_ARE_COMPARED)
        proxy.judge = everything_passes
        await cluster.nobody_hears(olga, page)

        async def nothing_is_active() -> bool:
            async with cluster.admin("newcomer") as newcomer:
                await newcomer.settled()
                return newcomer.unread == []

        await until(nothing_is_active)


async def progress(cluster: Cluster, percent: int) -> None:
    await cluster.router.notify("transcode_progress", video_id=5, status="processing", progress=percent, user_id="olga")


async def shown(client: Client) -> Any:
    return (await client.receive("transcode_progress", timeout=TOPS_ARE_COMPARED))["progress"]


async def test_an_ear_that_hears_nothing_and_looks_alive_is_replaced_and_what_it_missed_is_delivered(
    cluster: Cluster, proxy: RedisProxy
) -> None:
    async with cluster.user("alice") as alice, cluster.admin("root") as page:
        proxy.deafen()
        own = await send(cluster, {"users": ["alice"]}, 3)
        admins = await send(cluster, "admin", 3)
        await until(lambda: proxy.connections(EAR) == 1, timeout=20)
        await until(lambda: "deaf: probes are sent but not heard; subscribing anew" in cluster.node.log())
        await until(lambda: "hears again seconds=" in cluster.node.log())
        own += await send(cluster, {"users": ["alice"]}, 3)
        admins += await send(cluster, "admin", 3)
        await assert_got(alice, own)
        await assert_got(page, admins)


async def test_a_node_that_stays_deaf_while_redis_works_is_not_ready_until_it_hears_again(
    cluster: Cluster, proxy: RedisProxy
) -> None:
    async with cluster.user("alice") as alice, cluster.admin("root") as page:
        with proxy.swallowing(EAR):
            own = await send(cluster, {"users": ["alice"]}, 2)
            admins = await send(cluster, "admin", 2)

            async def says_deaf() -> bool:
                answer = await cluster.node.health("/readyz")
                return (answer.status_code, answer.text) == (503, "deaf\n")

            await until(says_deaf, timeout=25)
            assert (await cluster.node.health("/healthz")).status_code == 200
            assert alice.is_open
        await cluster.node.ready()
        own += await send(cluster, {"users": ["alice"]}, 2)
        admins += await send(cluster, "admin", 2)
        await assert_got(alice, own)
        await assert_got(page, admins)
