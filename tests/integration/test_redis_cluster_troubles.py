"""A Redis Cluster in trouble of several kinds at once, and what is not publishing on it: queue, inbox, polls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from shared.keys import BUCKET_TAGS, TAGS
from tests.support.cluster import Cluster
from tests.support.counters import counters, until_all_say
from tests.support.poller import Poller
from tests.support.producer import Producer, all_at_work, all_published, assert_all_arrived
from tests.support.queue import Queue
from tests.support.sentinels import command
from tests.support.shards import Shards, user_of
from tests.support.waiting import until, until_equal

HALF = {"REDIS_USERNAME": "half", "REDIS_PASSWORD": "secret"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shards]:
    async with Shards(tmp_path_factory.mktemp("shards")) as shards:
        yield shards


@pytest.fixture
async def shards(whole: Shards) -> AsyncIterator[Shards]:
    """Afterwards, every server works again."""
    yield whole
    await whole.heal()


async def test_a_router_that_is_cut_off_from_a_bucket_leaves_the_queue_and_the_sums_to_others(
    shards: Shards, new_cluster
) -> None:
    for server in shards.servers:
        await command(server, "ACL", "SETUSER", "half", "on", ">secret", "~*", "&*", "+@all")
    cluster: Cluster = await new_cluster(nodes=0, routers=0, redis=shards, **shards.settings)
    half = await cluster.start_router(**HALF)
    user = user_of("0", "half")
    async with Queue.of(cluster, (await shards.master("c")).url) as queue:
        await until(lambda: has_turn(queue, half))
        await cluster.start_node()
        whole = await cluster.start_router()
        for server in shards.servers:  # wherever the bucket goes
            if server is not await shards.master("c") and server is not await shards.master("3"):
                await command(server, "ACL", "SETUSER", "half", "resetpass", ">another")
                await command(server, "CLIENT", "KILL", "USER", "half")
        await until(lambda: "redis is away" in half.log())
        async with cluster.user(user) as browser:
            await queue.append_numbered(user, range(10))
            assert [message["n"] for message in await browser.receive_many("numbered", 10)] == list(range(10))
            await until_equal(lambda: whole.read("stats"), counters(1, 1, 0))
        await until_equal(queue.reader, whole)


async def has_turn(queue: Queue, router: object) -> bool:
    return await queue.reader() is router


async def test_the_inbox_holds_events_of_every_tag_and_forgets_who_is_erased(
    shards: Shards, new_cluster, tmp_path: Path
) -> None:
    inbox = {"DATABASE_URL": f"sqlite:///{tmp_path}/inbox.db"}
    cluster: Cluster = await new_cluster(routers=2, redis=shards, **shards.settings, **inbox)
    users = [user_of(tag, "kept") for tag in BUCKET_TAGS]
    await cluster.router.send({"users": users}, {"type": "kept"})
    await cluster.router.send("all", {"type": "kept"})
    for user in users:
        await until_equal(lambda user=user: unread(cluster, user), 2)
        erased = await cluster.router.delete(f"users/{user}/data")
        assert (erased.status_code, erased.json()["inbox_rows"], erased.json()["events"]) == (200, 1, 1)
        assert await unread(cluster, user) == 1


async def unread(cluster: Cluster, user: str) -> int:
    answer = await cluster.node.get("/api/v1/notifications/unread-count", bearer=cluster.tokens.user(user))
    return sum(answer.json()["by_audience"].values())


async def test_all_masters_hand_over_at_once_under_producers_the_queue_and_a_node_that_drains(
    shards: Shards, new_cluster
) -> None:
    cluster: Cluster = await new_cluster(nodes=2, routers=2, redis=shards, **shards.settings)
    users = [user_of(tag, "handed") for tag in BUCKET_TAGS]
    producers = [Producer(router, user) for router, user in zip(cluster.routers * 2, users, strict=True)]
    masters = [await shards.master(tag) for tag in ("c", "3")]
    replicas = [await shards.replica(master) for master in masters]
    async with AsyncExitStack() as stack:
        clients = {p: await stack.enter_async_context(cluster.user(p.user)) for p in producers}
        others = {p: await stack.enter_async_context(cluster.user(p.user, node=cluster.nodes[1])) for p in producers}
        async with all_at_work(producers):
            await all_published(producers)
            leaving = asyncio.create_task(cluster.nodes[1].terminate())
            await asyncio.gather(*(shards.hand_over(replica) for replica in replicas))
            await all_published(producers)
            await leaving
        for producer in producers:
            await assert_all_arrived(producer, clients[producer])
        for other in others.values():
            await other.closed()
        await until_all_say(cluster, counters(4, 4, 0), timeout=20)


async def test_a_cluster_that_is_restarted_as_a_whole_goes_on_where_it_was(shards: Shards, new_cluster) -> None:
    # Services come back one by one: the first producers may be far ahead when the last node hears again.
    cluster: Cluster = await new_cluster(nodes=2, routers=2, redis=shards, **shards.settings, HISTORY_LENGTH="10000")
    users = [user_of(tag, "restarted") for tag in BUCKET_TAGS]
    producers = [Producer(router, user) for router, user in zip(cluster.routers * 2, users, strict=True)]
    async with AsyncExitStack() as stack:
        clients = {p: await stack.enter_async_context(cluster.user(p.user)) for p in producers}
        async with all_at_work(producers):
            await all_published(producers)
            await asyncio.gather(*(server.terminate() for server in shards.servers))
            await asyncio.gather(*(producer.was_refused() for producer in producers))
            await shards.heal()
            await all_published(producers)
        for producer in producers:
            await assert_all_arrived(producer, clients[producer])
        await until_all_say(cluster, counters(4, 4, 0), timeout=20)


async def test_a_poll_brings_events_of_every_bucket(shards: Shards, new_cluster) -> None:
    cluster: Cluster = await new_cluster(redis=shards, **shards.settings)
    for tag in BUCKET_TAGS:
        user = user_of(tag, "polls")
        poller = Poller(cluster.node, cluster.tokens.user(user))
        await poller.poll()
        await cluster.router.send({"users": [user]}, {"type": "personal"})
        await cluster.router.send("all", {"type": "everybody"})
        assert sorted(event["type"] for event in (await poller.poll())["events"]) == ["everybody", "personal"]


async def test_a_node_that_dies_while_the_leases_are_away_is_cleared_and_nothing_is_lost_or_doubled(
    shards: Shards, new_cluster
) -> None:
    cluster: Cluster = await new_cluster(nodes=2, routers=2, redis=shards, **shards.settings, HISTORY_LENGTH="10000")
    users = [user_of(tag, "dies") for tag in BUCKET_TAGS]
    producers = [Producer(router, user) for router, user in zip(cluster.routers * 2, users, strict=True)]
    master = await shards.master("c")
    replica = await shards.replica(master)
    here, there = cluster.nodes
    async with AsyncExitStack() as stack:
        clients = {p: await stack.enter_async_context(cluster.user(p.user, node=here)) for p in producers}
        others = [await stack.enter_async_context(cluster.user(p.user, node=there)) for p in producers]
        await until_all_say(cluster, counters(4, 8, 0), timeout=5)
        await shards.in_step(master)
        async with all_at_work(producers):
            await all_published(producers)
            await shards.in_step(master)
            await asyncio.gather(master.kill(), there.kill())
            await shards.promoted(replica)
            await all_published(producers)
        for producer in producers:
            await assert_all_arrived(producer, clients[producer])
        for other in others:
            await other.closed()
        await until_all_say(cluster, counters(4, 4, 0), timeout=20)


async def test_services_wait_for_a_cluster_that_is_being_made(new_cluster, tmp_path: Path) -> None:
    shards = Shards(tmp_path / "late")
    cluster: Cluster = await new_cluster(nodes=0, routers=0, redis=shards, **shards.settings)
    services = [cluster.add_node(), cluster.add_router()]
    for service in services:
        service.launch()
        await until(lambda service=service: "redis is away" in service.log())
    async with shards:
        for service in services:
            await service.ready()
            for link in (f"-{tag}" for tag in TAGS):  # a bucket's users are refused until it is there, others are not
                await until(lambda service=service, link=link: is_there(service.log(), link))
        async with AsyncExitStack() as stack:
            for tag in BUCKET_TAGS:
                browser = await stack.enter_async_context(cluster.user(user_of(tag)))
                await cluster.router.send({"users": [user_of(tag)]}, {"type": "personal"})
                await browser.receive("personal")
        for service in services:
            await service.terminate()


def is_there(log: str, link: str) -> bool:
    return any("redis is there" in line and f"{link} " in line for line in log.splitlines())
