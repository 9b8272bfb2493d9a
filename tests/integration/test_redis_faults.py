"""Redis goes and comes back under traffic: what was answered 202 arrives once and in order, what was not says so."""

from __future__ import annotations

import pytest

from tests.support.client import welcomed
from tests.support.cluster import Cluster
from tests.support.events import published
from tests.support.producer import Producer, assert_all_arrived, assert_refusals_help
from tests.support.redis_server import RedisServer
from tests.support.waiting import until


async def gone_how(redis: RedisServer, how: str) -> None:
    if how == "stopped":
        await redis.stop()
    else:
        await redis.kill()


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_a_restart_of_redis_loses_nothing_doubles_nothing_and_keeps_sockets_open(
    new_cluster, own_redis: RedisServer, how: str
) -> None:
    cluster: Cluster = await new_cluster(nodes=2, redis=own_redis)
    here, there = cluster.nodes
    producer = Producer(cluster.router, "alice")
    async with (
        cluster.user("alice", node=here) as phone,
        cluster.user("alice", node=there) as laptop,
        cluster.admin(node=there) as page,
    ):
        async with producer.at_work():
            await producer.published(20)
            await gone_how(own_redis, how)
            await producer.was_refused()
            await phone.settled()
            await own_redis.start()
            await producer.published(20)
        assert_refusals_help(producer)
        await assert_all_arrived(producer, phone, laptop)
        await cluster.router.send("admin", {"type": "after"})
        await page.receive("after", timeout=15)


async def test_a_hang_of_redis_is_a_503_and_a_retry_completes_what_was_begun(
    new_cluster, own_redis: RedisServer
) -> None:
    cluster: Cluster = await new_cluster(nodes=2, redis=own_redis, REDIS_TIMEOUT="0.5")
    producer = Producer(cluster.router, "alice")
    async with (
        cluster.user("alice") as phone,
        cluster.user("alice", node=cluster.nodes[1]) as laptop,
    ):
        async with producer.at_work():
            for _ in range(2):
                await producer.published(10)
                own_redis.pause()
                await producer.was_refused()
                own_redis.resume()
                await producer.published(10)
        assert_refusals_help(producer)
        await assert_all_arrived(producer, phone, laptop)


async def test_without_redis_everything_says_so_and_comes_back_by_itself(new_cluster, own_redis: RedisServer) -> None:
    cluster: Cluster = await new_cluster(redis=own_redis)
    router, node = cluster.router, cluster.node
    async with cluster.user("alice") as alice:
        await own_redis.stop()

        async def refuses() -> bool:
            answer = await router.post("messages", {"audience": "all", "message": {"type": "x"}})
            assert answer.status_code == 503
            return True

        await until(refuses)
        batch = await router.post("messages/batch", {"items": [{"audience": "all", "message": {"type": "x"}}]})
        assert batch.status_code == 503
        assert batch.json()["operation_key"]
        for path in ("stats", "nodes", "users/alice/connections", "transcodes", "transcodes/1"):
            answer = await router.get(path)
            assert (answer.status_code, "retry-after" in answer.headers) == (503, True), path
        assert (await router.delete("users/alice/connections")).status_code == 503
        answer = await node.get("/api/v1/transcodes", bearer=cluster.tokens.user("alice"))
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        assert (await cluster.refusal(cluster.tokens.user("bob")))[0] == 1013
        for service in cluster.services:
            assert (await service.health("/readyz")).status_code == 200
            assert (await service.health("/healthz")).status_code == 200
        await alice.settled()
        await own_redis.start()

        await until(lambda: published(router, "alice", "back"))
        await alice.receive("back", timeout=15)
        bobs = node.socket_url(token=cluster.tokens.user("bob"))
        async with await until(lambda: welcomed(bobs)) as bob:  # a node hears again before or after it lets in again
            await router.send("all", {"type": "hello"})
            await bob.receive("hello")
        await alice.receive("hello")
        await alice.nothing_else()


async def test_services_that_start_before_redis_wait_for_it(new_cluster, own_redis: RedisServer) -> None:
    await own_redis.stop()
    cluster: Cluster = await new_cluster(nodes=0, routers=1, redis=own_redis)
    assert (await cluster.router.post("messages", {"audience": "all", "message": {"type": "x"}})).status_code == 503
    node = cluster.add_node()
    node.launch()
    await own_redis.start()
    await node.ready()
    async with cluster.user("alice") as alice:
        await until(lambda: published(cluster.router, "alice", "hello"))
        await alice.receive("hello")


async def test_redis_that_forgot_everything_is_told_to_returning_clients(new_cluster, own_redis: RedisServer) -> None:
    cluster: Cluster = await new_cluster(redis=own_redis)
    async with cluster.user("alice") as alice:
        for _ in range(3):
            await cluster.router.send({"users": ["alice"]}, {"type": "before"})
        ids = [message["id"] for message in await alice.receive_many("before", 3)]
        everyone = alice.connected["cursor"].split(",")[1]
    await own_redis.kill()
    own_redis.forget()
    await own_redis.start()

    await until(lambda: published(cluster.router, "alice", "after"))

    async def told() -> bool:
        async with cluster.user("alice", since=f"{ids[-1]},{everyone}") as again:
            assert again.connected["recovered"] is False
            return True

    await until(told)
