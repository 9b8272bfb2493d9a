"""Messages by way of the queue, from real producers to real clients, whatever happens to those in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from videosite_realtime import InvalidMessage, RetryPolicy, Undelivered
from videosite_realtime.queue import NotificationQueue
from videosite_realtime.sync_queue import SyncNotificationQueue

from tests.conftest import NewCluster
from tests.support.client import Client
from tests.support.cluster import Cluster, Router
from tests.support.collector import Collector, is_child
from tests.support.queue import Queue
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PORTION = 2000
HISTORY = str(20 * PORTION)


@pytest.fixture
async def queue(cluster: Cluster) -> AsyncIterator[Queue]:
    async with Queue.of(cluster) as queue:
        yield queue


async def assert_all_arrive(client: Client, count: int) -> None:
    """Assert that a client gets every numbered event, in order, once."""
    seen = [message["n"] for message in await client.receive_many("numbered", count, timeout=40)]
    assert seen == list(range(count))
    await client.nothing_else()


# --- who may append, and how


async def test_an_entry_written_by_hand_arrives_with_its_producers_trace(cluster: Cluster, queue: Queue) -> None:
    user = cluster.number()
    async with cluster.user(user) as client, cluster.admin() as admin:
        message = {
            "type": "transcode_complete",
            "video_id": user,
            "title": "好的",
            "format_type": "av1",
            "file_size": 1,
        }
        await queue.append("notifications", {**message, "user_id": user}, traceparent=f"00-{TRACE}-00f067aa0ba902b7-00")
        seen = await client.receive("transcode_complete")
        assert (seen["title"], seen["video_id"]) == ("好的", user)
        assert (await admin.receive("transcode_complete"))["video_id"] == user
    await until(lambda: any(TRACE in router.log() for router in cluster.routers))


async def test_an_invalid_entry_is_set_aside_with_its_reason_and_holds_up_no_other(
    cluster: Cluster, queue: Queue
) -> None:
    user = cluster.number()
    async with cluster.user(user) as client:
        bad = await queue.append("messages", {"audience": {"users": []}, "message": {"type": "x"}})
        await queue.append("messages", {"audience": {"users": [user]}, "message": {"type": "good"}})
        await client.receive("good")
        (dead,) = await until(lambda: set_aside(queue, bad))
        assert dead["reason"] == "invalid"
        assert json.loads(dead["detail"])[0]["loc"] == ["body", "audience", "users"]
    assert any("queue entry set aside" in router.log() for router in cluster.routers)


async def set_aside(queue: Queue, entry: str) -> list[dict[str, str]]:
    return [dead for dead in await queue.dead() if dead["entry"] == entry]


async def test_every_call_of_the_sdks_queue_reaches_its_audience(cluster: Cluster) -> None:
    owner, video = cluster.number(), cluster.number()
    async with (
        NotificationQueue(cluster.redis.url, cluster.prefix) as queue,
        cluster.admin() as admin,
        cluster.user(owner) as user,
    ):
        await queue.notify_transcode_progress(video, "processing", 45, "已完成720p转码", user_id=owner)
        await queue.notify_transcode_complete(video, "示例视频", "av1", 1024, user_id=owner)
        await queue.notify_transcode_failed(video, "示例视频", "exit 1", user_id=owner)
        await queue.notify_system_message("维护", "warning", {"users": [owner]})
        await queue.send_personal_message({"type": "hello"}, owner)
        await queue.send_admin_message({"type": "for_admins"})
        await queue.broadcast({"type": "for_all", "video": video})
        items = [{"audience": {"users": [owner]}, "message": {"type": "one of many", "n": n}} for n in range(3)]
        assert len({done.id for done in await queue.send_batch(items)}) == 3
        kinds = ("transcode_complete", "transcode_failed", "system_message", "hello", "for_all")
        events = [await user.receive(kind) for kind in kinds]
        assert len({event["id"] for event in events}) == 5
        assert [message["n"] for message in await user.receive_many("one of many", 3)] == [0, 1, 2]
        assert (await admin.receive("transcode_complete"))["video_id"] == video
        await admin.receive("transcode_failed")
        await admin.receive("for_admins")
        await admin.receive("for_all")


async def test_what_is_appended_twice_under_one_key_arrives_once(cluster: Cluster) -> None:
    user = cluster.number()
    with SyncNotificationQueue(cluster.redis.url, cluster.prefix) as queue:
        async with cluster.user(user) as client:
            for _ in range(3):
                queue.send_personal_message({"type": "once"}, user, idempotency_key=f"job-{user}")
            queue.send_personal_message({"type": "last"}, user)
            await client.receive("last")
            assert [text for text in client.texts if '"once"' in text] != []
            assert len([text for text in client.texts if '"once"' in text]) == 1


async def test_a_sampled_entry_is_one_trace_from_its_producer_to_the_socket(new_cluster: NewCluster) -> None:
    with Collector().running() as collector:
        cluster = await new_cluster(**collector.env)
        async with Queue.of(cluster) as queue, cluster.user(7) as client:
            body = {"audience": {"users": [7]}, "message": {"type": "hello"}}
            await queue.append("messages", body, traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
            await client.receive("hello")
            trace = await collector.complete(TRACE, ["process queue", "send users", "process users"])
    taken, sent, processed = trace.one("process queue"), trace.one("send users"), trace.one("process users")
    assert (taken.kind, taken.service, taken.parent_id) == ("consumer", "vsrt-router", "00f067aa0ba902b7")
    assert taken.attributes["vsrt.queue.wait"] >= 0
    assert is_child(sent, taken)
    assert is_child(processed, sent)
    assert {span.status for span in trace} == {"unset"}


# --- what is kept of a user


async def test_what_was_set_aside_about_a_user_goes_with_its_data(cluster: Cluster, queue: Queue) -> None:
    user, other = cluster.number(), cluster.number()
    large = "x" * 70_000  # cut, where it is set aside
    bad = [
        ("messages", {"audience": {"users": [other, user]}, "message": {"no": "type"}}),
        ("notifications", {"type": "transcode_failed", "video_id": "none", "user_id": str(user)}),
        ("notifications", {"type": "system_message", "target": {"users": [user]}, "message": 5}),
        ("messages", {"audience": "nobody", "message": {"type": "x", "about": [{"user_id": user}]}}),
        ("messages", {"audience": {"users": [user]}, "message": {"type": 5, "text": large}}),
        ("messages", {"audience": {"users": [other]}, "message": {"no": "type", "text": str(user)}}),
        ("messages", '{"audience": {"users": [' + str(user) + "]}, what is this"),
    ]
    entries = [await queue.append(kind, body) for kind, body in bad]
    await until(queue.is_empty)
    erased = (await cluster.router.delete(f"users/{user}/data")).json()
    assert (erased["set_aside"], erased["queued"]) == (5, 0)
    left = [dead["entry"] for dead in await queue.dead() if dead["entry"] in entries]
    assert left == entries[5:], "another user's, and one that cannot be read"
    assert (await cluster.router.delete(f"users/{user}/data")).json()["set_aside"] == 0


async def test_what_waits_in_the_queue_is_told_to_who_erases_a_user(new_cluster: NewCluster) -> None:
    cluster = await new_cluster(QUEUE_ENABLED="false")
    async with Queue.of(cluster) as queue:
        await queue.append_numbered(7, range(3))
        await queue.append_numbered(8, range(50))
        assert (await cluster.router.delete("users/7/data")).json()["queued"] == 3
        assert await queue.waiting() == 53
        await cluster.start_router(QUEUE_ENABLED="true")
        await until(queue.is_empty)
        erased = (await cluster.router.delete("users/7/data")).json()
        assert (erased["events"], erased["queued"]) == (3, 0)


# --- routers that come and go


@contextmanager
def paused(*routers: Router) -> Iterator[None]:
    for router in routers:
        router.pause()
    try:
        yield
    finally:
        for router in routers:
            router.resume()


async def reader_of(queue: Queue) -> Router:
    """Return the router whose turn it is, once there is one."""
    return await until(queue.reader)


async def under_way(queue: Queue, cluster: Cluster, *users: str, begin: int = 0) -> int:
    """Append events to users, and return once routers have read some of them, and not all; return the next number.

    Routers may have read all of a portion before anybody has looked: then another one follows.
    """
    while True:
        with paused(*cluster.routers):
            for user in users:
                await queue.append_numbered(user, range(begin, begin + PORTION))
            count = await queue.waiting()
        begin += PORTION
        if await queue.is_begun(count):
            return begin


async def test_routers_that_are_killed_in_the_middle_lose_double_and_swap_nothing(new_cluster: NewCluster) -> None:
    cluster = await new_cluster(nodes=2, routers=2, HISTORY_LENGTH=HISTORY)
    async with Queue.of(cluster) as queue, cluster.user("a") as here, cluster.user("b", node=cluster.nodes[1]) as there:
        end = 0
        for _ in range(3):
            end = await under_way(queue, cluster, "a", "b", begin=end)
            reader = await reader_of(queue)
            await reader.kill()
            await reader.start()
        await assert_all_arrive(here, end)
        await assert_all_arrive(there, end)
        assert await queue.dead() == []


async def test_a_router_that_was_paused_with_entries_in_its_hands_doubles_and_swaps_nothing(
    new_cluster: NewCluster,
) -> None:
    cluster = await new_cluster(routers=2, HISTORY_LENGTH=HISTORY)
    async with Queue.of(cluster) as queue, cluster.user("a") as client:
        await reader_of(queue)
        end = await under_way(queue, cluster, "a")
        first = await reader_of(queue)
        with paused(first):

            async def another_reads() -> bool:
                return await queue.reader() not in (first, None)

            await until(another_reads)
            await queue.append_numbered("a", range(end, end + 100))
            await until(queue.is_empty, timeout=30)
        await first.ready()
        await queue.append_numbered("a", range(end + 100, end + 200))
        await assert_all_arrive(client, end + 200)


async def test_a_terminated_router_hands_the_queue_over_at_once(new_cluster: NewCluster) -> None:
    cluster = await new_cluster(routers=2)
    async with Queue.of(cluster) as queue, cluster.user("a") as client:
        reader = await reader_of(queue)
        assert await reader.terminate() == 0
        await queue.append_numbered("a", range(10))
        await assert_all_arrive(client, 10)
        assert await queue.reader() is not reader


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_a_restart_of_redis_in_the_middle_loses_doubles_and_swaps_nothing(
    new_cluster: NewCluster, own_redis: RedisServer, how: str
) -> None:
    cluster = await new_cluster(routers=2, redis=own_redis, HISTORY_LENGTH=HISTORY)
    async with cluster.user("a") as client:
        async with Queue.of(cluster) as queue:
            await reader_of(queue)
            end = await under_way(queue, cluster, "a")
        await (own_redis.stop() if how == "stopped" else own_redis.kill())
        await own_redis.start()
        async with Queue.of(cluster) as queue:
            await queue.append_numbered("a", range(end, end + 100))
        await assert_all_arrive(client, end + 100)


async def test_routers_without_the_rights_to_publish_set_nothing_aside(
    new_cluster: NewCluster, own_redis: RedisServer
) -> None:
    """However often they try: it is not the entries' fault, and they are published once the rights are there."""
    cluster = await new_cluster(redis=own_redis)
    async with Queue.of(cluster) as queue, cluster.user("a") as client:
        await queue.may_publish(False)
        await queue.append_numbered("a", range(20))
        await until(lambda: _failures(cluster, 12), timeout=40)
        assert (await queue.dead(), await queue.waiting()) == ([], 20)
        await queue.may_publish(True)
        await assert_all_arrive(client, 20)


async def _failures(cluster: Cluster, wanted: int) -> bool:
    lines = (await cluster.router.health("/metrics")).text.splitlines()
    counted = next(line for line in lines if line.startswith('vsrt_router_queue_failures_total{reason="refused"'))
    return float(counted.rpartition(" ")[2]) >= wanted


# --- a queue that nobody reads


async def test_a_full_queue_refuses_and_a_resent_message_arrives_once(new_cluster: NewCluster) -> None:
    cluster = await new_cluster(QUEUE_ENABLED="false")
    async with (
        NotificationQueue(cluster.redis.url, cluster.prefix, max_length=3, retry=RetryPolicy(deadline=3)) as queue,
        cluster.user("a") as client,
    ):
        for number in range(3):
            await queue.send_personal_message({"type": "numbered", "n": number}, "a")
        with pytest.raises(Undelivered, match="the queue is full: 3 entries wait for a router") as full:
            await queue.send_personal_message({"type": "numbered", "n": 3}, "a")
        await cluster.start_router(QUEUE_ENABLED="true")
        for _ in range(2):  # whoever is not sure may ask again
            await until(lambda: _resent(queue, full.value))
        await assert_all_arrive(client, 4)


async def _resent(queue: NotificationQueue, full: Undelivered) -> bool:
    try:
        await queue.resend(full.request)
    except Undelivered:
        return False
    return True


async def test_a_queue_that_grew_beyond_its_bound_gives_up_the_oldest_and_says_so(new_cluster: NewCluster) -> None:
    cluster = await new_cluster(QUEUE_ENABLED="false")
    async with Queue.of(cluster) as queue, cluster.user("a") as client:
        await queue.append_numbered("a", range(1000))
        router = await cluster.start_router(QUEUE_ENABLED="true", QUEUE_MAX_LENGTH="500")
        await until(queue.is_empty)
        seen = [message["n"] for message in await client.receive_many("numbered", 500)]
        assert seen[-1] <= 999
        assert seen == list(range(seen[0], seen[0] + 500))
        assert "queue entries are lost" in router.log()


async def test_a_batch_with_an_item_that_is_no_object_is_appended_not_at_all(cluster: Cluster, queue: Queue) -> None:
    async with NotificationQueue(cluster.redis.url, cluster.prefix) as producer:
        with pytest.raises(InvalidMessage, match=r"items\.1"):
            await producer.notify_batch([{"type": "system_message", "message": "m"}, 5])
    await asyncio.gather(until(queue.is_empty), cluster.nobody_hears())
