"""Routers and nodes that go: by a crash, by an update, side by side on one port."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from tests.support.cluster import Cluster
from tests.support.ports import free_port
from tests.support.producer import Producer, assert_all_arrived
from tests.support.waiting import until, until_equal


@pytest.mark.parametrize("how", ["killed", "terminated"])
async def test_a_router_that_is_restarted_under_traffic_loses_and_doubles_nothing(new_cluster, how: str) -> None:
    cluster: Cluster = await new_cluster()
    producer = Producer(cluster.router, "alice", own_keys=True)
    async with cluster.user("alice") as browser:
        async with producer.at_work():
            await producer.published(20)
            if how == "killed":
                await cluster.router.kill()
            else:
                assert await cluster.router.terminate() == 0
            await cluster.router.start()
            await producer.published(20)
        await assert_all_arrived(producer, browser)


async def test_a_terminated_node_says_when_to_come_back_and_closes_with_1012(new_cluster) -> None:
    cluster: Cluster = await new_cluster(nodes=2, DRAIN_SECONDS="1")
    leaving, staying = cluster.nodes
    async with AsyncExitStack() as stack:
        browsers = [await stack.enter_async_context(cluster.user(f"u{i}", node=leaving)) for i in range(20)]
        page = await stack.enter_async_context(cluster.admin(node=leaving))
        bystander = await stack.enter_async_context(cluster.user("u0", node=staying))
        ending = asyncio.create_task(leaving.terminate())
        for client in (*browsers, page):
            assert (await client.closed())[0] == 1012
            said = await client.receive("reconnect")
            assert said["retry_after_ms"] > 0
            assert said.keys() == {"type", "retry_after_ms"}
            assert client.unread == []
        assert await ending == 0
        await bystander.settled()

        async def names() -> list[str]:
            return [node["name"] for node in (await cluster.router.read("nodes"))["nodes"]]

        await until_equal(names, ["node-2"], timeout=5)  # and not when its lease lapses, after eight
        assert (await cluster.router.read("users/u1/connections"))["connections"] == 0
        assert (await cluster.router.read("users/u0/connections"))["connections"] == 1


async def test_a_draining_node_is_not_ready_and_says_so_to_the_cluster(new_cluster) -> None:
    cluster: Cluster = await new_cluster(DRAIN_SECONDS="60")
    async with AsyncExitStack() as stack:
        for i in range(60):
            await stack.enter_async_context(cluster.user(f"u{i}"))
        ending = asyncio.create_task(cluster.node.terminate())

        async def draining() -> bool:
            answer = await cluster.node.health("/readyz")
            assert (answer.status_code, answer.text) == (503, "draining\n")
            assert (await cluster.node.health("/healthz")).status_code == 200
            assert (await cluster.router.read("nodes"))["nodes"][0]["state"] == "draining"
            return True

        await until(draining)
        assert await cluster.node.terminate() == 0  # told twice, it is quick
        await ending


async def test_messages_reach_a_draining_nodes_clients_until_they_are_sent_away(new_cluster) -> None:
    cluster: Cluster = await new_cluster(nodes=2, DRAIN_SECONDS="1")
    leaving, staying = cluster.nodes
    sent: list[str] = []
    async with cluster.user("alice", node=leaving) as browser:
        ending = asyncio.create_task(leaving.terminate())
        while browser.is_open:
            sent.append((await cluster.router.send({"users": ["alice"]}, {"type": "event"}))["id"])
        heard = [message["id"] for message in browser.unread if message["type"] == "event"]
        assert await ending == 0
    assert sent[: len(heard)] == heard
    own, everyone = browser.connected["cursor"].split(",")
    since = f"{heard[-1] if heard else own},{everyone}"
    async with cluster.user("alice", node=staying, since=since) as again:
        assert again.connected["recovered"] is True
        rest = [message["id"] for message in await again.receive_many("event", len(sent) - len(heard))]
        assert heard + rest == sent
        await again.nothing_else()


async def test_a_second_signal_ends_a_drain_at_once(new_cluster) -> None:
    cluster: Cluster = await new_cluster(routers=0, DRAIN_SECONDS="60")
    async with AsyncExitStack() as stack:
        browsers = [await stack.enter_async_context(cluster.user(f"u{i}")) for i in range(20)]
        first = asyncio.create_task(cluster.node.terminate())

        async def draining() -> bool:
            return (await cluster.node.health("/readyz")).status_code == 503

        await until(draining)
        assert await cluster.node.terminate() == 0
        await first
        for browser in browsers:
            assert (await browser.closed())[0] == 1012


async def test_two_nodes_share_one_port_and_either_may_leave(new_cluster) -> None:
    cluster: Cluster = await new_cluster(nodes=2, NODE_REUSE_PORT="true", NODE_PORT=str(free_port()))
    async with AsyncExitStack() as stack:
        users = [f"user-{i}" for i in range(40)]
        browsers = {user: await stack.enter_async_context(cluster.user(user)) for user in users}

        async def held() -> Counter[str]:
            nodes = (await cluster.router.read("nodes"))["nodes"]
            counts = Counter({node["name"]: node["user_connections"] for node in nodes})
            assert counts.total() == 40
            assert min(counts["node-1"], counts["node-2"]) > 0
            return counts

        counts = await until(held)
        await cluster.router.send({"users": users}, {"type": "hello"})
        for browser in browsers.values():
            await browser.receive("hello")
        assert await cluster.nodes[0].terminate() == 0
        await until_equal(lambda: sum(browser.is_open for browser in browsers.values()), counts["node-2"])
        for user, browser in browsers.items():
            if browser.is_open:
                await browser.settled()
            else:
                async with cluster.user(user) as again:
                    await again.settled()


async def test_a_killed_nodes_clients_catch_up_elsewhere(new_cluster) -> None:
    cluster: Cluster = await new_cluster(nodes=2)
    victim, survivor = cluster.nodes
    ids = []
    async with cluster.user("alice", node=victim) as browser:
        ids.append((await cluster.router.send({"users": ["alice"]}, {"type": "event", "n": 0}))["id"])
        await browser.receive("event")
        await victim.kill()
        assert (await browser.closed())[0] == 1006
    for n in range(1, 6):
        ids.append((await cluster.router.send({"users": ["alice"]}, {"type": "event", "n": n}))["id"])
    broadcast = (await cluster.router.send("all", {"type": "broadcast"}))["id"]
    since = f"{ids[0]},{browser.connected['cursor'].split(',')[1]}"
    async with cluster.user("alice", node=survivor, since=since) as again:
        assert again.connected["recovered"] is True
        assert again.connected["cursor"] == since
        assert [message["id"] for message in await again.receive_many("event", 5)] == ids[1:]
        assert (await again.receive("broadcast"))["id"] == broadcast
        await again.nothing_else()
