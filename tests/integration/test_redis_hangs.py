"""Redis hangs without closing anything: no socket is closed, nodes stay ready, and nothing is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tests.support.client import Client
from tests.support.cluster import Cluster, Node
from tests.support.producer import Producer, assert_all_arrived, assert_refusals_help
from tests.support.redis_proxy import COMMANDS, EAR, RedisProxy
from tests.support.redis_server import RedisServer
from tests.support.waiting import until


class Readiness:
    """Asks nodes again and again whether they are ready, as the cluster's probes do, only more often."""

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes = nodes
        self.asked = 0
        self.refusals: list[str] = []

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Readiness]:
        tasks = [asyncio.create_task(self._watch(node)) for node in self._nodes]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, node: Node) -> None:
        async with node.http(f"http://127.0.0.1:{node.health_port}") as http:
            while True:
                answer = await http.get("/readyz")
                self.asked += 1
                if answer.status_code != httpx.codes.OK:
                    self.refusals.append(f"{node.name}: {answer.text.strip()}")
                await asyncio.sleep(0.05)


async def test_a_hang_of_ten_seconds_closes_no_socket_makes_no_node_unready_and_loses_nothing(
    new_cluster, own_redis: RedisServer
) -> None:
    cluster: Cluster = await new_cluster(nodes=2, redis=own_redis)
    here, there = cluster.nodes
    producer = Producer(cluster.router, "alice")
    async with (
        cluster.user("alice", node=here) as phone,
        cluster.user("alice", node=there) as laptop,
        cluster.admin("root", node=there) as page,
        Readiness(cluster.nodes).watched() as readiness,
    ):
        async with producer.at_work():
            await producer.published(10)
            own_redis.pause()
            until_when = time.monotonic() + 10  # the length of the hang is what is tested
            await producer.was_refused()
            while time.monotonic() < until_when:
                await asyncio.gather(*(client.settled() for client in (phone, laptop, page)))
                await asyncio.sleep(0.25)
            own_redis.resume()
            await producer.published(20)
        assert_refusals_help(producer)
        await assert_all_arrived(producer, phone, laptop)
        await until(lambda: both_are_listed(cluster))
        assert (await cluster.router.send("admin", {"type": "after"}))["online"] is True
        await page.receive("after", timeout=15)
        assert page.is_open
    assert readiness.refusals == []
    assert readiness.asked > 20


async def both_are_listed(cluster: Cluster) -> bool:
    nodes = (await cluster.router.read("nodes"))["nodes"]
    return sorted((node["name"], node["user_connections"]) for node in nodes) == [("node-1", 1), ("node-2", 1)]


async def test_a_command_connection_that_hangs_without_closing_is_replaced_and_nothing_is_lost(
    new_cluster, redis_server: RedisServer
) -> None:
    cluster: Cluster = await new_cluster(nodes=0)
    async with RedisProxy(redis_server.port).running() as proxy:
        node = await cluster.start_node(REDIS_URL=proxy.url)
        async with (
            cluster.user("alice") as alice,
            cluster.admin("root") as page,
            Readiness([node]).watched() as readiness,
        ):
            proxy.swallow(COMMANDS)
            first = await cluster.router.send({"users": ["alice"]}, {"type": "event"})
            assert (await alice.receive("event"))["id"] == first["id"], "what it hears does not need commands"
            await until(lambda: lets_in(cluster, "bob"))
            assert proxy.connections(COMMANDS) == 1
            async with cluster.user("bob") as bob:
                for client, audience in ((alice, {"users": ["alice"]}), (bob, {"users": ["bob"]}), (page, "admin")):
                    sent = await cluster.router.send(audience, {"type": "event"})
                    assert (await client.receive("event"))["id"] == sent["id"]
                await cluster.nobody_hears(alice, bob, page)
        assert readiness.refusals == []


async def test_a_node_whose_every_connection_hangs_keeps_its_sockets_and_delivers_what_it_missed(
    new_cluster, redis_server: RedisServer
) -> None:
    """As when a network drops packets without a word: Redis works for all others, and clears the node's lease."""
    cluster: Cluster = await new_cluster(nodes=1)
    async with RedisProxy(redis_server.port).running() as proxy:
        lonely = await cluster.start_node(REDIS_URL=proxy.url)
        async with (
            cluster.user("alice", node=lonely) as alice,
            cluster.admin("root", node=lonely) as page,
            Readiness([lonely]).watched() as readiness,
        ):
            with proxy.swallowing(COMMANDS), proxy.swallowing(EAR):
                await until(lambda: is_cleared(cluster, "alice"), timeout=20)
                sent = [(await cluster.router.send({"users": ["alice"]}, {"type": "event"}))["id"] for _ in range(3)]
                told = [(await cluster.router.send("admin", {"type": "event"}))["id"] for _ in range(3)]
            assert [m["id"] for m in await alice.receive_many("event", 3)] == sent
            assert [m["id"] for m in await page.receive_many("event", 3)] == told
            await until(lambda: is_registered(cluster, "alice"))
            assert (await cluster.router.send({"users": ["alice"]}, {"type": "event"}))["online"] is True
            await alice.receive("event")
            await cluster.nobody_hears(alice, page)
        assert readiness.refusals == []


async def lets_in(cluster: Cluster, user: str) -> bool:
    async with await Client.open(cluster.node.socket_url(token=cluster.tokens.user(user))) as client:
        await client.receive("connected")
        return True


async def is_cleared(cluster: Cluster, user: str) -> bool:
    return (await cluster.router.read(f"users/{user}/connections"))["connections"] == 0


async def is_registered(cluster: Cluster, user: str) -> bool:
    return (await cluster.router.read(f"users/{user}/connections"))["connections"] == 1
