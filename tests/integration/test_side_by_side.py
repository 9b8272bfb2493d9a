"""A rolling update: nodes and routers of this version and of the next one, side by side on one Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import product
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.client import SOON
from tests.support.cluster import Cluster, Node, Router
from tests.support.follower import followers
from tests.support.redis_server import RedisServer
from tests.support.traffic import Traffic, assert_nothing_lost_or_doubled
from tests.support.waiting import until, until_equal

pytestmark = pytest.mark.asyncio(loop_scope="module")
NEXT_NODE, NEXT_ROUTER = "tests.support.next_version.node", "tests.support.next_version.router"


@asynccontextmanager
async def two_versions(redis: RedisServer, directory: Path, **env: str) -> AsyncIterator[Cluster]:
    """Today's node and router, and after them those of the next version, which bring scripts of their own."""
    cluster = Cluster(redis, directory, **env)
    try:
        await cluster.start()
        following = cluster.add_router(module=NEXT_ROUTER), cluster.add_node(module=NEXT_NODE)
        for service in following:
            service.launch()
        await asyncio.gather(*(service.ready() for service in following))
        yield cluster
    finally:
        await cluster.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mixed(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """A next version as the rules want it; neither has anything to complain about."""
    async with two_versions(redis_server, tmp_path_factory.mktemp("mixed")) as cluster:
        yield cluster
    assert cluster.complaints() == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ahead(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """A next version whose envelopes only its own nodes can read."""
    directory = tmp_path_factory.mktemp("ahead")
    async with two_versions(redis_server, directory, NEXT_ENVELOPE="2", HISTORY_LENGTH="2000") as cluster:
        yield cluster


async def tell_everyone(router: Router, user: int, video: int) -> list[str]:
    """Publish something to every audience; return what user and admins hear, by name."""
    await router.send({"users": [user]}, {"type": "personal"})
    await router.send("admin", {"type": "to_admins"})
    await router.send("all", {"type": "to_all"})
    await router.notify("transcode_progress", video_id=video, status="processing", progress=50, user_id=user)
    complete = {"title": "示例视频", "format_type": "av1", "file_size": 1}
    await router.notify("transcode_complete", video_id=video, user_id=user, **complete)
    return ["personal", "to_admins", "to_all", "transcode_progress", "transcode_complete"]


async def test_every_audience_is_reached_by_routers_of_either_version_on_nodes_of_either(mixed: Cluster) -> None:
    user = mixed.number()
    async with AsyncExitStack() as stack:
        users = [await stack.enter_async_context(mixed.user(user, node=node)) for node in mixed.nodes]
        admins = [await stack.enter_async_context(mixed.admin(node=node)) for node in mixed.nodes]
        for router in (*mixed.routers, *mixed.routers):
            told = await tell_everyone(router, user, mixed.number())
            for client in users:
                for kind in set(told) - {"to_admins"}:
                    await client.receive(kind)
            for client in admins:
                for kind in set(told) - {"personal"}:
                    await client.receive(kind)
        for router in mixed.routers:
            answer = await router.post("messages", {"audience": {"users": [user]}, "message": {"type": "last"}})
            assert answer.json()["nodes"] == 2
        for client in users:
            await client.receive_many("last", 2)
        await mixed.nobody_hears(*users, *admins)


async def test_either_version_reads_registry_and_counters_of_the_other(mixed: Cluster) -> None:
    user = mixed.number()
    for last_router, last_node in zip(mixed.routers, reversed(mixed.nodes), strict=True):
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(mixed.user(user, node=node)) for node in mixed.nodes]
            clients += [await stack.enter_async_context(mixed.user(user, node=last_node))]
            for router in mixed.routers:
                assert (await router.read(f"users/{user}/connections"))["connections"] == 3
                await until_equal(lambda router=router: user_connections(router), 3)
                assert [node["name"] for node in (await router.read("nodes"))["nodes"]] == ["node-1", "node-2"]
            for node in mixed.nodes:
                await until_equal(lambda node=node: users(node), 1)
            await last_router.delete(f"users/{user}/connections")
            for client in clients:
                assert (await client.closed())[0] == 4401
        for router in mixed.routers:
            await until_equal(lambda router=router: user_connections(router), 0)


async def users(node: Node) -> int:
    return (await node.stats())["total_users"]


async def user_connections(router: Router) -> int:
    return (await router.read("stats"))["total_user_connections"]


@pytest.mark.parametrize("back", [False, True], ids=["at the next version's", "at today's"])
async def test_a_call_repeated_at_a_router_of_the_other_version_is_done_once(mixed: Cluster, back: bool) -> None:
    first, second = reversed(mixed.routers) if back else mixed.routers
    user = mixed.number()
    async with mixed.user(user) as client:
        body = {"audience": {"users": [user]}, "message": {"type": "once"}}
        answers = [await router.post("messages", body, key=f"once-{user}") for router in (first, second, first)]
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert (await client.receive("once"))["id"] == answers[0].json()["id"]
        await mixed.nobody_hears(client)
        assert (await second.post("messages", {**body, "audience": "all"}, key=f"once-{user}")).status_code == 409


@pytest.mark.parametrize("back", [False, True], ids=["to the next version", "back to this one"])
async def test_a_client_resumes_on_a_node_of_the_other_version(mixed: Cluster, back: bool) -> None:
    before, after = reversed(mixed.nodes) if back else mixed.nodes
    user, video = mixed.number(), mixed.number()
    async with mixed.user(user, node=before) as client:
        first = (await mixed.router.send({"users": [user]}, {"type": "numbered", "n": 0}))["id"]
        await client.receive("numbered")
    sent = []
    for n, (_, router) in enumerate(product(range(3), mixed.routers)):
        sent.append((await router.send({"users": [user]}, {"type": "numbered", "n": n}))["id"])
        await router.notify("transcode_progress", video_id=video, status="processing", progress=n, user_id=user)
    since = f"{first},{client.connected['cursor'].split(',')[1]}"
    async with mixed.user(user, node=after, since=since) as again:
        assert again.connected["recovered"] is True
        assert [message["id"] for message in await again.receive_many("numbered", len(sent))] == sent
        assert (await again.receive("transcode_progress"))["progress"] == 5
        await again.nothing_else()
    async with mixed.admin(node=after) as admin:
        assert (await admin.receive("transcode_progress"))["progress"] == 5


async def test_todays_caretaker_clears_a_dead_node_of_the_next_version(new_cluster) -> None:
    cluster: Cluster = await new_cluster()
    following = await cluster.start_node(module=NEXT_NODE)
    user = cluster.number()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(cluster.user(user))
        await stack.enter_async_context(cluster.user(user, node=following))
        await stack.enter_async_context(cluster.admin(node=following))
        await following.kill()

        async def right() -> bool:
            assert await user_connections(cluster.router) == 1
            assert (await cluster.router.read("stats"))["total_admin_connections"] == 0
            assert (await cluster.router.read(f"users/{user}/connections"))["connections"] == 1
            return True

        await until(right, timeout=20)
        await client.settled()


async def test_a_rolling_update_under_traffic_loses_and_doubles_nothing(new_cluster) -> None:
    cluster: Cluster = await new_cluster(nodes=2, routers=2, DRAIN_SECONDS="1")
    users = [f"u{index}" for index in range(30)]
    async with followers(cluster, users=30, admins=6) as clients:
        traffic = Traffic(cluster, users)
        async with traffic.flowing():
            for service in (*cluster.nodes, *cluster.routers):  # nodes first: they read what the next routers write
                await traffic.more(20)
                assert await service.terminate() == 0
                service.become(NEXT_NODE if service in cluster.nodes else NEXT_ROUTER)
                await service.start()
            await traffic.more(20)
        await assert_nothing_lost_or_doubled(traffic, clients)
        for node in cluster.nodes:
            assert await unreadable(node) == 0


# --- a version that today's nodes cannot read


async def test_what_a_node_cannot_read_it_counts_and_finds_in_history_before_long(ahead: Cluster) -> None:
    router = ahead.routers[1]
    user, video = ahead.number(), ahead.number()
    before = await unreadable(ahead.node)
    async with ahead.user(user) as client, ahead.admin() as admin:
        for n in range(4):  # one after another: SOON is too short for the comparison every ten seconds
            await router.send({"users": [user]}, {"type": "numbered", "n": n})
            await router.send("all", {"type": "to_all", "n": n})
            for kind in ("numbered", "to_all"):
                assert (await client.receive(kind, timeout=SOON))["n"] == n
            assert (await admin.receive("to_all", timeout=SOON))["n"] == n
        await router.notify("transcode_progress", video_id=video, status="processing", progress=9, user_id=user)
        for listener in (client, admin):
            assert (await listener.receive("transcode_progress", timeout=SOON))["progress"] == 9
        await ahead.nobody_hears(client, admin)
    assert await unreadable(ahead.node) >= before + 8


async def test_a_flood_that_a_node_cannot_read_is_all_found_and_told_once_a_second_at_most(ahead: Cluster) -> None:
    node, router, user = ahead.node, ahead.routers[1], ahead.number()
    audience = {"users": [user]}
    counted, told, began = await unreadable(node), node.log().count("unreadable on the bus"), time.monotonic()
    async with ahead.user(user) as client:
        batch = {"items": [{"audience": audience, "message": {"type": "numbered", "n": n}} for n in range(50)]}
        calls = [await router.post("messages/batch", batch) for _ in range(20)]
        wanted = [result["id"] for call in calls for result in call.json()["results"]]
        assert [message["id"] for message in await client.receive_many("numbered", 1000)] == wanted
        await client.nothing_else()
    assert await unreadable(node) >= counted + 20
    assert 1 <= node.log().count("unreadable on the bus") - told <= time.monotonic() - began + 2


async def test_nodes_that_read_both_versions_miss_nothing(ahead: Cluster) -> None:
    node, user = ahead.nodes[1], ahead.number()
    async with ahead.user(user, node=node) as client, ahead.admin(node=node) as admin:
        for sender in ahead.routers:
            told = await tell_everyone(sender, user, ahead.number())
            for listener, foreign in ((client, "to_admins"), (admin, "personal")):
                for kind in set(told) - {foreign}:
                    await listener.receive(kind)
        await ahead.routers[1].delete(f"users/{user}/connections")
        assert (await client.closed())[0] == 4401
    assert await unreadable(node) == 0


async def unreadable(node: Node) -> int:
    line = next(
        line
        for line in (await node.health("/metrics")).text.splitlines()
        if line.startswith("vsrt_node_unreadable_envelopes_total ")
    )
    return int(float(line.split()[1]))
