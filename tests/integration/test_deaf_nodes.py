"""A node that is deaf or hears late, and does not know it yet, shows nobody what is over."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import redis.asyncio as redis

from tests.support.cluster import Cluster
from tests.support.ports import LOOPBACK
from tests.support.redis_server import RedisServer
from tests.support.tcp_proxy import Pipe, TcpProxy


@pytest.fixture
async def proxy(own_redis: RedisServer) -> AsyncIterator[TcpProxy]:
    async with TcpProxy(own_redis.port) as proxy:
        yield proxy


@pytest.fixture
async def cluster(new_cluster, own_redis: RedisServer, proxy: TcpProxy) -> Cluster:
    """The second node reaches Redis through the proxy."""
    cluster: Cluster = await new_cluster(redis=own_redis)
    await cluster.start_node(REDIS_URL=f"redis://{LOOPBACK}:{proxy.port}/0")
    return cluster


async def ear(own_redis: RedisServer, proxy: TcpProxy) -> Pipe:
    """Return the connection on which the node behind the proxy listens; its commands have another."""
    ports = {pipe.far.port for pipe in proxy.pipes}
    async with redis.from_url(own_redis.url) as server:
        for client in await server.client_list():
            port = int(client["addr"].rpartition(":")[2])
            if client["name"] == "vsrt-bus" and port in ports:
                return proxy.pipe(port)
    raise AssertionError("no ear found")


async def test_an_owner_who_saw_a_transcode_end_is_not_shown_its_progress_by_a_deaf_node(
    cluster: Cluster, own_redis: RedisServer, proxy: TcpProxy
) -> None:
    video = {"video_id": 5, "user_id": "alice"}
    hearing, deaf = cluster.nodes
    async with cluster.user("alice", node=deaf) as stays, cluster.user("alice", node=hearing) as moves:
        await cluster.router.notify("transcode_progress", **video, status="processing", progress=69)
        await stays.receive("transcode_progress")  # so that the deaf node has it
        (await ear(own_redis, proxy)).dead = True
        await cluster.router.notify("transcode_failed", **video, title="示例视频", error="no space")
        end = await moves.receive("transcode_failed")
        since = f"{end['id']},{moves.connected['cursor'].split(',')[1]}"
        async with cluster.user("alice", node=deaf, since=since) as again:
            assert again.connected["recovered"] is True
            await cluster.router.send("all", {"type": "fence"})
            await again.receive("fence", timeout=20)  # its node is deaf for a while
            await again.nothing_else()
        await stays.receive("transcode_failed")


async def test_progress_that_history_has_overtaken_on_its_way_is_not_shown_after_the_end(
    cluster: Cluster, own_redis: RedisServer, proxy: TcpProxy
) -> None:
    video = {"video_id": 5, "user_id": "alice"}
    hearing, slow = cluster.nodes
    async with cluster.user("alice", node=slow) as stays, cluster.user("alice", node=hearing) as moves:
        heard_late = (await ear(own_redis, proxy)).far
        heard_late.rest("slow", resting=True)
        await cluster.router.notify("transcode_progress", **video, status="processing", progress=69)
        await cluster.router.notify("transcode_failed", **video, title="示例视频", error="no space")
        end = await moves.receive("transcode_failed")
        since = f"{end['id']},{moves.connected['cursor'].split(',')[1]}"
        async with cluster.user("alice", node=slow, since=since):  # knows more than its node, which has to read up
            await stays.receive("transcode_failed", timeout=20)
        heard_late.rest("slow", resting=False)
        await cluster.router.send("all", {"type": "fence"})
        await stays.receive("fence", timeout=20)
        await stays.nothing_else()


async def test_progress_does_not_go_back_for_an_admin_who_comes_to_a_deaf_node(
    cluster: Cluster, own_redis: RedisServer, proxy: TcpProxy
) -> None:
    async def say(percent: int) -> None:
        await cluster.router.notify("transcode_progress", video_id=5, status="processing", progress=percent)

    _, deaf = cluster.nodes
    async with cluster.admin(node=deaf) as stays:
        await say(10)
        await stays.receive("transcode_progress")
        (await ear(own_redis, proxy)).dead = True
        await say(20)
        async with cluster.admin(node=deaf) as page:
            assert (await page.receive("transcode_progress"))["progress"] == 20
        assert (await stays.receive("transcode_progress"))["progress"] == 20
