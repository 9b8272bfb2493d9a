"""The four counters: right within a second of a change, on every node and router."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.support.client import Client
from tests.support.cluster import Cluster
from tests.support.counters import counters, until_all_say
from tests.support.waiting import until


@pytest.fixture
async def empty(cluster: Cluster) -> Cluster:
    await until_all_say(cluster, counters(0, 0, 0), timeout=5)
    return cluster


async def test_the_counters_follow_connections_over_two_nodes(empty: Cluster) -> None:
    here, there = empty.nodes
    async with AsyncExitStack() as stack:

        async def user(name: str, node) -> Client:
            return await stack.enter_async_context(empty.user(name, node=node))

        alice = await user("alice", here)
        await until_all_say(empty, counters(1, 1, 0))
        await user("alice", there)
        await until_all_say(empty, counters(1, 2, 0))
        await user("bob", there)
        await until_all_say(empty, counters(2, 3, 0))
        page = await stack.enter_async_context(empty.admin("alice", node=here))
        await until_all_say(empty, counters(2, 3, 1))
        assert await page.stats() == {"type": "stats", **counters(2, 3, 1)}
        assert await alice.stats() == {"type": "stats", **counters(2, 3, 1)}
        await alice.connection.close()
        await until_all_say(empty, counters(2, 2, 1))
    await until_all_say(empty, counters(0, 0, 0))


async def test_a_connection_is_counted_in_its_own_first_frame(empty: Cluster) -> None:
    async with empty.user("alice") as browser:
        assert browser.connected["connection_stats"] == counters(1, 1, 0)
        async with empty.admin() as page:
            assert page.connected["connection_stats"] == counters(1, 1, 1)


async def test_a_crowd_is_counted_exactly(empty: Cluster) -> None:
    async with AsyncExitStack() as stack:

        async def join(index: int) -> None:
            await stack.enter_async_context(empty.user(f"user-{index % 60}", node=empty.nodes[index % 2]))

        for start in range(0, 150, 50):
            await asyncio.gather(*(join(index) for index in range(start, start + 50)))
        await until_all_say(empty, counters(60, 150, 0))
        by_node = {node["name"]: node for node in (await empty.router.read("nodes"))["nodes"]}
        assert {name: node["user_connections"] for name, node in by_node.items()} == {"node-1": 75, "node-2": 75}
    await until_all_say(empty, counters(0, 0, 0))


async def test_the_public_counters_need_no_token(empty: Cluster) -> None:
    answer = await empty.node.get("/api/v1/ws/stats")
    assert answer.status_code == 200
    assert answer.json() == counters(0, 0, 0)


async def test_a_refused_connection_is_not_counted(empty: Cluster) -> None:
    await asyncio.gather(*(empty.refusal("garbage") for _ in range(20)))
    await empty.router.delete("users/blocked/connections", params={"block_seconds": 60})
    await asyncio.gather(*(empty.refusal(empty.tokens.user("blocked")) for _ in range(20)))
    await until_all_say(empty, counters(0, 0, 0))
    assert (await empty.router.read("users/blocked/connections"))["connections"] == 0


async def test_a_killed_node_is_gone_within_fifteen_seconds_and_a_paused_one_comes_back_with_all_it_holds(
    new_cluster,
) -> None:
    cluster = await new_cluster(nodes=3)
    survivor, victim, sleeper = cluster.nodes
    async with (
        cluster.user("alice", node=survivor) as alice,
        cluster.user("alice", node=victim) as alice_too,
        cluster.user("bob", node=victim),
        cluster.admin(node=victim),
        cluster.user("carol", node=sleeper) as carol,
    ):
        await until_all_say(cluster, counters(3, 4, 1))
        await victim.kill()
        sleeper.pause()
        assert (await alice_too.closed())[0] == 1006

        async def only_the_survivor_is_left() -> bool:
            assert await survivor.stats() == await cluster.router.read("stats") == counters(1, 1, 0)
            assert [node["name"] for node in (await cluster.router.read("nodes"))["nodes"]] == ["node-1"]
            for gone in ("bob", "carol"):
                assert (await cluster.router.read(f"users/{gone}/connections"))["connections"] == 0
            return True

        await until(only_the_survivor_is_left, timeout=15)
        assert (await cluster.router.send({"users": ["bob"]}, {"type": "x"}))["online"] is False
        missed = await cluster.router.send({"users": ["carol"]}, {"type": "missed"})
        assert missed["online"] is False
        await cluster.router.send({"users": ["alice"]}, {"type": "still_here"})
        await alice.receive("still_here")

        sleeper.resume()
        assert (await carol.receive("missed", timeout=15))["id"] == missed["id"], "its socket was open all the time"
        await until_all_say(cluster, counters(2, 2, 0), timeout=5)
        assert (await cluster.router.send({"users": ["carol"]}, {"type": "hello"}))["online"] is True
        await carol.receive("hello")
        await carol.nothing_else()
