"""A Redis Cluster instead of one server: every hash tag has a master of its own, and any of them may change.

Replication is asynchronous. What the replica had confirmed is kept: it arrives once and in order. What concerns a
bucket whose master is away waits; what does not goes on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from shared.keys import BUCKET_TAGS
from tests.support.access_list import NOT_GRANTED, PREFIX, USER, granted
from tests.support.client import Client
from tests.support.cluster import Cluster
from tests.support.counters import counters, until_all_say
from tests.support.events import accepted
from tests.support.ports import LOOPBACK, free_port
from tests.support.producer import Producer, all_at_work, all_published, assert_all_arrived
from tests.support.queue import Queue
from tests.support.redis_server import RedisServer
from tests.support.sentinels import command
from tests.support.shards import Shard, Shards, user_of
from tests.support.waiting import until, until_equal


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shards(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shards]:
    async with Shards(tmp_path_factory.mktemp("shards")) as shards:
        yield shards


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(shards: Shards, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Two nodes and two routers that all tests here share."""
    cluster = Cluster(shards, tmp_path_factory.mktemp("cluster"), **shards.settings)
    try:
        await cluster.start(nodes=2, routers=2)
        yield cluster
    finally:
        await cluster.close()
    assert cluster.complaints() == []


@pytest.fixture
async def cluster(started: Cluster, shards: Shards) -> AsyncIterator[Cluster]:
    """The shared cluster with nobody connected; afterwards, every server works again."""
    await until_all_say(started, counters(0, 0, 0), timeout=10)
    yield started
    await shards.heal()


async def both(stack: AsyncExitStack, cluster: Cluster, user: str) -> list[Client]:
    """Connect a user to both nodes."""
    return [await stack.enter_async_context(cluster.user(user, node=node)) for node in cluster.nodes]


# --- while nothing breaks


async def test_users_of_every_bucket_get_what_is_theirs_on_every_node(cluster: Cluster) -> None:
    async with AsyncExitStack() as stack:
        clients = {tag: await both(stack, cluster, user_of(tag, "all")) for tag in BUCKET_TAGS}
        admin = await stack.enter_async_context(cluster.admin())
        await until_all_say(cluster, counters(4, 8, 1), timeout=5)
        for tag, router in zip(BUCKET_TAGS, cluster.routers * 2, strict=True):
            answer = await router.send({"users": [user_of(tag, "all")]}, {"type": "personal", "tag": tag})
            assert (answer["nodes"], answer["online"]) == (2, True)
            for client in clients[tag]:
                assert await client.receive("personal") == {"type": "personal", "tag": tag, "id": answer["id"]}
        await cluster.router.send("admin", {"type": "for admins"})
        await admin.receive("for admins")
        everybody = [admin, *(client for pair in clients.values() for client in pair)]
        await cluster.nobody_hears(*everybody)
    await until_all_say(cluster, counters(0, 0, 0), timeout=5)


async def test_a_batch_over_all_buckets_is_done_once_however_often_it_is_sent(cluster: Cluster) -> None:
    users = [user_of(tag, "batch") for tag in BUCKET_TAGS]
    items = [
        {"audience": {"users": users}, "message": {"type": "numbered", "n": n}, "idempotency_key": f"batch-{n}"}
        for n in range(20)
    ]
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(cluster.user(user)) for user in users]
        first, again = [await router.post("messages/batch", {"items": items}) for router in cluster.routers]
        assert [result["status"] for result in first.json()["results"]] == [202] * 20
        assert [result["ids"] for result in again.json()["results"]] == [
            result["ids"] for result in first.json()["results"]
        ]
        for client in clients:
            assert [message["n"] for message in await client.receive_many("numbered", 20)] == list(range(20))
        await cluster.nobody_hears(*clients)


async def test_a_transcode_is_shown_to_admins_and_to_its_owner_and_can_be_asked_for(cluster: Cluster) -> None:
    video, owner = cluster.number(), user_of("0", "owner")
    async with cluster.user(owner, node=cluster.nodes[1]) as browser, cluster.admin() as admin:
        await cluster.router.notify(
            "transcode_progress", video_id=video, status="processing", progress=5, user_id=owner
        )
        for client in (browser, admin):
            assert (await client.receive("transcode_progress"))["video_id"] == video
        path = f"/api/v1/transcodes/{video}"
        assert (await cluster.node.get(path, bearer=cluster.tokens.user(owner))).json()["progress"] == 5
        assert (await cluster.node.get(path, bearer=cluster.tokens.user("somebody"))).status_code == 404
    async with cluster.user(owner) as browser:
        assert (await browser.receive("transcode_progress"))["progress"] == 5


async def test_who_was_away_is_told_what_was_missed(cluster: Cluster) -> None:
    user = user_of("3", "away")
    async with cluster.user(user) as browser:
        since = browser.connected["cursor"]
    sent = [(await cluster.router.send(to, {"type": "missed"}))["id"] for to in ({"users": [user]}, "all") * 5]
    async with cluster.user(user, node=cluster.nodes[1], since=since) as browser:
        assert browser.connected["recovered"] is True
        assert {message["id"] for message in await browser.receive_many("missed", 10)} == set(sent)
        await browser.nothing_else()


async def test_a_blocked_user_is_put_out_and_kept_out(cluster: Cluster) -> None:
    user = user_of("2", "blocked")
    async with cluster.user(user, node=cluster.nodes[1]) as browser:
        answer = await cluster.router.delete(f"users/{user}/connections?block_seconds=60")
        assert answer.json()["connections"] == 1
        assert (await browser.closed())[0] == 4401
    assert (await cluster.refusal(cluster.tokens.user(user)))[0] == 4403
    assert (await cluster.router.delete(f"users/{user}/block")).json()["was_blocked"] is True


async def test_the_queue_is_read(cluster: Cluster, shards: Shards) -> None:
    user = user_of("1", "queue")
    async with (
        cluster.user(user) as browser,
        Queue.of(cluster, (await shards.master("c")).url) as queue,
    ):
        await queue.append_numbered(user, range(300))
        assert [message["n"] for message in await browser.receive_many("numbered", 300)] == list(range(300))
        await until(queue.is_empty)


# --- while servers die, change their parts, and slots move


async def test_while_a_buckets_master_is_away_its_users_wait_and_nobody_else(cluster: Cluster, shards: Shards) -> None:
    mine, master = user_of("3", "mine"), await shards.master("3")
    replica, others = (
        await shards.replica(master),
        [user_of(tag, "others") for tag in await shards.tags_elsewhere(master)],
    )
    producer = Producer(cluster.router, mine)
    async with AsyncExitStack() as stack:
        phone, laptop = await both(stack, cluster, mine)
        others_clients = [client for other in others for client in await both(stack, cluster, other)]
        before = [(await cluster.router.send({"users": [mine]}, {"type": "before"}))["id"] for _ in range(20)]
        since = phone.connected["cursor"]
        for client in (phone, laptop):
            assert [message["id"] for message in await client.receive_many("before", 20)] == before
        await shards.in_step(master)
        await master.kill()
        async with producer.at_work():  # into the outage: refused, repeated under its key, taken by the new master
            await producer.was_refused()
            for audience in (*({"users": [other]} for other in others), "all"):
                assert (await cluster.routers[1].send(audience, {"type": "meanwhile"}))["nodes"] == 2
            newcomer = await stack.enter_async_context(cluster.user(others[0]))
            await shards.promoted(replica)
            await producer.published(20)
        for client in (*others_clients, phone, laptop):
            for _ in range(2 if client in others_clients else 1):
                await client.receive("meanwhile")
        await assert_all_arrived(producer, phone, laptop)
        await cluster.nobody_hears(newcomer, *others_clients)
        await until_all_say(cluster, counters(1 + len(others), 3 + 2 * len(others), 0), timeout=5)
    async with cluster.user(mine, since=since) as again:
        assert again.connected["recovered"] is True
        assert [message["id"] for message in await again.receive_many("before", 20)] == before
        await again.receive("meanwhile")
        await again.receive("fence")
        await assert_all_arrived(producer, again)


async def test_users_whom_a_new_master_never_knew_are_written_down_again(cluster: Cluster, shards: Shards) -> None:
    """And those who had left by then are not found any more."""
    stays, leaves, comes = (user_of("3", name) for name in ("stays", "leaves", "comes"))
    master = await shards.master("3")
    replica = await shards.replica(master)
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(cluster.user(stays))
        async with cluster.user(leaves):
            await until_all_say(cluster, counters(2, 2, 0), timeout=5)
            await shards.in_step(master)
            await shards.cut_off(master)
        late = await stack.enter_async_context(cluster.user(comes, node=cluster.nodes[1]))
        await until_all_say(cluster, counters(2, 2, 0), timeout=5)
        await master.kill()
        await shards.promoted(replica)
        await until_equal(lambda: connections(cluster, stays, leaves, comes), [1, 0, 1], timeout=20)
        await until_all_say(cluster, counters(2, 2, 0), timeout=5)
        answer = await cluster.router.send({"users": [stays, comes, leaves]}, {"type": "after"})
        assert (answer["nodes"], answer["online"]) == (2, True)
        for client in (here, late):
            await client.receive("after")


async def test_a_slot_moves_to_another_master_under_a_producer(cluster: Cluster, shards: Shards) -> None:
    user, source, target = user_of("0", "moved"), await shards.master("0"), await shards.master("3")
    assert source is not target
    producer = Producer(cluster.router, user)
    async with AsyncExitStack() as stack:
        phone, laptop = await both(stack, cluster, user)
        since = phone.connected["cursor"]
        async with producer.at_work():
            await producer.published(50)
            await shards.move_slot("0", target)
            await producer.published(50)
        await assert_all_arrived(producer, phone, laptop)
        await until_all_say(cluster, counters(1, 2, 0), timeout=10)
    async with cluster.user(user, since=since) as again:
        assert again.connected["recovered"] is True
        await assert_all_arrived(producer, again)


async def test_the_shared_tags_master_hands_over_to_its_replica_under_producers(
    cluster: Cluster, shards: Shards
) -> None:
    """It holds the leases, what everybody hears, and the node's ears."""
    master = await shards.master("c")
    replica = await shards.replica(master)
    users = [user_of(tag, "handed") for tag in BUCKET_TAGS]
    producers = [Producer(router, user) for router, user in zip(cluster.routers * 2, users, strict=True)]
    async with AsyncExitStack() as stack:
        clients = {producer: await both(stack, cluster, producer.user) for producer in producers}
        async with all_at_work(producers):
            await all_published(producers)
            await shards.hand_over(replica)
            await all_published(producers)
        for producer in producers:
            await assert_all_arrived(producer, *clients[producer])
        await until(lambda: accepted(cluster, "all", "everybody"))
        for client in (client for pair in clients.values() for client in pair):
            await client.receive("everybody")
        await until_all_say(cluster, counters(4, 8, 0), timeout=10)


async def connections(cluster: Cluster, *users: str) -> list[int]:
    """Return how often each user is connected, in the word of a router."""
    answers = [await cluster.router.get(f"users/{user}/connections") for user in users]
    return [answer.json().get("connections") for answer in answers]


# --- as whom, and where


async def test_the_shipped_user_has_the_rights_that_it_takes(cluster: Cluster, shards: Shards, new_cluster) -> None:
    rights = [f"+{right}" for right in sorted(granted())]
    for server in shards.servers:
        await command(server, "ACL", "SETUSER", USER, "on", ">secret", f"~{PREFIX}:*", f"&{PREFIX}:*", *rights)
        await command(server, "ACL", "LOG", "RESET")
    user = {"REDIS_USERNAME": USER, "REDIS_PASSWORD": "secret", "REDIS_PREFIX": PREFIX}
    guarded: Cluster = await new_cluster(redis=shards, **shards.settings, **user)
    master = await shards.master("3")
    async with guarded.user(user_of("3", "guarded")) as phone:
        await shards.hand_over(await shards.replica(master))
        await guarded.router.send("all", {"type": "everybody"})
        await phone.receive("everybody")
        await until(lambda: accepted(guarded, {"users": [user_of("3", "guarded")]}, "personal"))
        await phone.receive("personal")
    denied = [entry for server in shards.servers for entry in await command(server, "ACL", "LOG")]
    assert {entry["object"].lower() for entry in denied} <= NOT_GRANTED


async def test_a_seed_that_is_away_is_passed_over(cluster: Cluster, shards: Shards, new_cluster) -> None:
    away, there = f"{LOOPBACK}:{free_port()}", shards.settings["REDIS_CLUSTER_NODES"]
    other: Cluster = await new_cluster(redis=shards, REDIS_CLUSTER_NODES=f"{away},{there}")
    async with other.user("alice") as phone:
        await other.router.send("all", {"type": "event"})
        await phone.receive("event")


async def test_a_server_that_is_no_cluster_and_a_cluster_that_lacks_a_slot_are_named(
    cluster: Cluster, redis_server: RedisServer, tmp_path
) -> None:
    lacking = Shard(tmp_path / "lacking")
    await lacking.start()
    try:
        for server, said in (
            (redis_server, "cluster support disabled"),
            (lacking, "knows nobody who serves slot 7365"),
        ):
            stranger = cluster.add_router(REDIS_CLUSTER_NODES=f"{LOOPBACK}:{server.port}")
            stranger.launch()
            await until(lambda stranger=stranger, said=said: said in stranger.log())
            assert f"{LOOPBACK}:{server.port}: " in stranger.log()
            await stranger.end()
            cluster.routers.remove(stranger)
    finally:
        await lacking.end()
