"""The user that the chart ships has the rights that are needed, and no others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import redis.asyncio as redis
from redis.exceptions import ResponseError

from shared.keys import Keys
from tests.support.access_list import NOT_GRANTED, PREFIX, USER, granted, write_access_list
from tests.support.cluster import Cluster
from tests.support.ports import LOOPBACK, free_port
from tests.support.redis_server import RedisServer
from tests.support.waiting import until, until_equal

GONE_WITHIN = 15.0  # s, as promised
# Needed with a database number, with Sentinels, in a Redis Cluster.
OTHER_ADDRESSES = {"select", "role", "cluster|slots"}
# What services do without: CONFIG shows passwords, and what redis-py says of itself not every server knows.


@pytest.fixture
async def guarded_redis(tmp_path: Path) -> AsyncIterator[tuple[RedisServer, dict[str, str]]]:
    """A server with the shipped user, and the settings with which services are that user."""
    password = write_access_list(tmp_path / "acl.conf")
    server = RedisServer(tmp_path / "redis", config=tmp_path / "acl.conf")
    await server.start()
    yield server, {"REDIS_USERNAME": USER, "REDIS_PASSWORD": password, "REDIS_PREFIX": PREFIX}
    await server.end()


@pytest.fixture
async def guarded_cluster(tmp_path: Path) -> AsyncIterator[tuple[RedisServer, dict[str, str]]]:
    """The same as a Redis Cluster of one server."""
    password = write_access_list(tmp_path / "acl.conf")
    options = {"cluster-enabled": "yes", "cluster-port": str(free_port())}
    server = RedisServer(tmp_path / "redis", config=tmp_path / "acl.conf", options=options)
    await server.start()
    async with speaking_as(server) as everybody:
        await everybody.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        await until(lambda: _serves_its_slots(everybody))
    nodes = f"{LOOPBACK}:{server.port}"
    user = {"REDIS_USERNAME": USER, "REDIS_PASSWORD": password, "REDIS_PREFIX": PREFIX}
    yield server, {"REDIS_CLUSTER_NODES": nodes, **user}
    await server.end()


@asynccontextmanager
async def speaking_as(server: RedisServer, **user: str) -> AsyncIterator[redis.Redis]:
    async with redis.Redis.from_url(server.url, decode_responses=True, **user) as client:
        yield client


async def test_everything_works_as_the_shipped_user_and_nothing_it_may_do_is_left_unused(
    new_cluster, guarded_redis, tmp_path: Path
) -> None:
    server, settings = guarded_redis
    inbox = {"DATABASE_URL": f"sqlite:///{tmp_path}/inbox.db"}
    cluster: Cluster = await new_cluster(nodes=2, routers=2, redis=server, **settings, **inbox)
    await messages_arrive(cluster)
    await the_inbox_is_written_and_a_user_erased(cluster)
    await blocks_hold(cluster)
    await a_drained_node_loses_nothing(cluster)
    await a_killed_node_is_cleared_away(cluster)
    await a_node_that_lost_its_lease_comes_back(cluster, server)
    await the_queue_is_read(cluster, server)

    async with speaking_as(server) as everybody:
        calls = await everybody.info("commandstats")
        denied = {entry["object"] for entry in await everybody.acl_log() if entry["username"] == USER}
    called = {name.removeprefix("cmdstat_") for name, stat in calls.items() if stat["calls"] > stat["rejected_calls"]}
    assert granted() - called <= OTHER_ADDRESSES
    assert {name.lower() for name in denied} <= NOT_GRANTED
    assert [line for line in cluster.complaints() if "queue entries are lost" not in line] == []  # as it should


async def messages_arrive(cluster: Cluster) -> None:
    here, there = cluster.nodes
    async with (
        cluster.user("7", node=here) as phone,
        cluster.user("7", node=there) as laptop,
        cluster.admin(node=there) as page,
    ):
        await cluster.router.send({"users": ["7"]}, {"type": "personal"})
        await cluster.router.send("admin", {"type": "for admins"})
        await cluster.router.send("all", {"type": "for all"})
        await cluster.router.notify(
            "transcode_progress", video_id=1, status="processing", progress=50, message="", user_id=7
        )
        for client, kinds in (
            (phone, ("personal", "for all", "transcode_progress")),
            (laptop, ("personal", "for all", "transcode_progress")),
            (page, ("for admins", "for all", "transcode_progress")),
        ):
            for kind in kinds:
                await client.receive(kind)
        since = phone.since
        assert (await phone.stats())["total_users"] == 1
    for key in ("k", "k"):
        answer = await cluster.router.post(
            "messages", {"audience": {"users": ["7"]}, "message": {"type": "while away"}}, key=key
        )
        assert answer.status_code == 202
    async with cluster.user("7", node=there, since=since) as again:
        assert again.connected["recovered"] is True
        await again.receive("while away")
        await again.settled()
        assert "while away" not in [message["type"] for message in again.unread]
    assert len(await cluster.router.read("nodes")) > 0
    assert (await cluster.router.read("transcodes"))["transcodes"]
    assert (await cluster.node.get("/api/v1/transcodes/1", bearer=cluster.tokens.user(7))).status_code == 200


async def the_inbox_is_written_and_a_user_erased(cluster: Cluster) -> None:
    token = cluster.tokens.user("6")
    await cluster.router.send({"users": ["6"]}, {"type": "kept"})

    async def unread() -> int:
        answer = await cluster.node.get("/api/v1/notifications/unread-count", bearer=token)
        return answer.json()["by_audience"]["user"]

    await until_equal(unread, 1)
    answer = await cluster.node.call("POST", "/api/v1/notifications/read", bearer=token, json={"all": True})
    assert answer.status_code == 200
    erased = await cluster.router.delete("users/6/data")
    assert (erased.status_code, erased.json()["inbox_rows"], erased.json()["events"]) == (200, 1, 1)


async def blocks_hold(cluster: Cluster) -> None:
    async with cluster.user("8") as client:
        await cluster.router.delete("users/8/connections", params={"block_seconds": 60})
        assert (await client.closed())[0] == 4401
    assert (await cluster.refusal(cluster.tokens.user("8")))[0] == 4403
    assert (await cluster.router.delete("users/8/block")).json()["was_blocked"] is True
    async with cluster.user("8"):
        pass


async def a_drained_node_loses_nothing(cluster: Cluster) -> None:
    here, there = cluster.nodes
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(cluster.user("9", node=there))
        await there.terminate()
        assert (await client.closed())[0] == 1012
        since = client.since
    await cluster.router.send({"users": ["9"]}, {"type": "meanwhile"})
    async with cluster.user("9", node=here, since=since) as back:
        await back.receive("meanwhile")
    await there.start()


async def a_killed_node_is_cleared_away(cluster: Cluster) -> None:
    _, there = cluster.nodes
    async with cluster.user("10", node=there):
        await there.kill()

        async def forgotten() -> bool:
            return (await cluster.router.read("users/10/connections"))["connections"] == 0

        await until(forgotten, timeout=GONE_WITHIN)


async def a_node_that_lost_its_lease_comes_back(cluster: Cluster, server: RedisServer) -> None:
    """Under another id, and so on another channel: it gives the old one up."""
    async with speaking_as(server) as everybody:
        await everybody.delete(Keys(PREFIX).leases)
    await until(lambda: cluster.node.log().count("node joined") >= 2)
    async with cluster.user("11") as client:
        await cluster.router.send({"users": ["11"]}, {"type": "here"})
        await client.receive("here")


async def the_queue_is_read(cluster: Cluster, server: RedisServer) -> None:
    """After somebody took an entry and died; and when it is too long."""
    queue, keys = "messages", Keys(PREFIX)
    body = '{"audience":{"users":["12"]},"message":{"type":"queued"}}'
    async with speaking_as(server) as everybody, cluster.user("12") as client:
        await everybody.xadd(keys.queue, {"kind": queue, "body": body})
        await client.receive("queued")
        await cluster.routers[1].terminate()
        await cluster.router.terminate()
        await everybody.xadd(keys.queue, {"kind": queue, "body": body})
        await everybody.xreadgroup("routers", "one that died", {keys.queue: ">"}, count=1)
        for _ in range(600):
            await everybody.xadd(keys.queue, {"kind": queue, "body": "{"})
        await everybody.xadd(keys.queue, {"kind": queue, "body": body})
        cluster.router.env["QUEUE_MAX_LENGTH"] = "100"
        await cluster.router.start()
        await client.receive("queued")
        await until(lambda: _has_no_entries(everybody, keys.queue))
        assert await everybody.xlen(keys.queue_dead) > 0
        await everybody.xadd(keys.queue, {"kind": queue, "body": body})
        await everybody.xadd(keys.queue, {"kind": queue, "body": body})
        await client.receive_many("queued", 2)


async def _serves_its_slots(server: redis.Redis) -> bool:
    """A cluster's master that has just started waits for two seconds, in case another has its slots by now."""
    return "cluster_state:ok" in await server.execute_command("CLUSTER", "INFO")


async def _has_no_entries(server: redis.Redis, key: str) -> bool:
    return await server.xlen(key) == 0


REFUSED = [
    ("FLUSHALL",),
    ("CONFIG", "GET", "requirepass"),
    ("KEYS", "*"),
    ("ACL", "LIST"),
    ("SCRIPT", "FLUSH"),
    ("DEL", f"{PREFIX}:stats:{{c}}"),
    ("GET", "another application's key"),
    ("SET", "another application's key", "1"),
    ("PUBLISH", "another application's channel", "1"),
    ("SUBSCRIBE", "another application's channel"),
    ("EVAL", "return redis.call('GET', KEYS[1])", "1", "another application's key"),
    ("EVAL", "return redis.call('FLUSHALL')", "0"),
]


@pytest.mark.parametrize("command", REFUSED, ids=" ".join)
async def test_what_is_not_ours_is_refused(guarded_redis, command: tuple[str, ...]) -> None:
    server, settings = guarded_redis
    async with speaking_as(server, username=USER, password=settings["REDIS_PASSWORD"]) as client:
        with pytest.raises(ResponseError, match=r"(?i)no permissions|can't (run|access)"):
            await client.execute_command(*command)


REFUSED_IN_A_CLUSTER = [
    ("CLUSTER", "NODES"),
    ("CLUSTER", "RESET"),
    ("CLUSTER", "FAILOVER", "TAKEOVER"),
    ("CLUSTER", "DELSLOTS", "1"),
    ("CLUSTER", "FORGET", "0" * 40),
    ("MIGRATE", LOOPBACK, "1", f"{PREFIX}:stats:{{c}}", "0", "1000"),
    ("COMMAND", "COUNT"),
]


async def test_in_a_redis_cluster_the_user_learns_who_has_which_slots_and_can_change_nothing(guarded_cluster) -> None:
    server, settings = guarded_cluster
    async with speaking_as(server, username=USER, password=settings["REDIS_PASSWORD"]) as client:
        ((first, last, *_),) = await client.execute_command("CLUSTER", "SLOTS")
        assert (first, last) == (0, 16383)
        for command in REFUSED_IN_A_CLUSTER:
            with pytest.raises(ResponseError, match=r"(?i)no permissions"):
                await client.execute_command(*command)


async def test_everything_works_as_the_shipped_user_in_a_redis_cluster(new_cluster, guarded_cluster) -> None:
    server, settings = guarded_cluster
    cluster: Cluster = await new_cluster(nodes=2, routers=1, redis=server, **settings)
    await messages_arrive(cluster)
    await blocks_hold(cluster)
    await a_killed_node_is_cleared_away(cluster)
    assert cluster.complaints() == []
    async with speaking_as(server) as everybody:
        denied = {entry["object"].lower() for entry in await everybody.acl_log() if entry["username"] == USER}
        calls = await everybody.info("commandstats")
    assert denied <= NOT_GRANTED
    assert calls["cmdstat_cluster|slots"]["calls"] > 0, "it was taken for one server"


async def test_services_without_the_password_say_so_and_do_not_serve(guarded_redis, new_cluster) -> None:
    server, settings = guarded_redis
    cluster: Cluster = await new_cluster(nodes=0, routers=0, redis=server, **settings)
    node = cluster.add_node(REDIS_PASSWORD="wrong")
    node.launch()
    await until(lambda: "invalid username-password pair" in node.log())
    assert "wrong" not in node.log()
    assert "node up" not in node.log()
