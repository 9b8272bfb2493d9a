"""What the cluster tells of nodes that were lost: of those, of all of them, and of no others."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from tests.support.cluster import Cluster, Service
from tests.support.metrics import metric
from tests.support.redis_server import RedisServer
from tests.support.waiting import until, until_equal

LEASE = 8.0  # s


async def dead(service: Service, what: str = "vsrt_cluster_dead_nodes_total") -> dict[str, float]:
    return {state: await metric(service, what, state=state) for state in ("up", "draining")}


async def node_ids(cluster: Cluster) -> set[str]:
    return {node["node_id"] for node in (await cluster.router.read("nodes"))["nodes"]}


async def leases_have_lapsed(cluster: Cluster) -> bool:
    ages = [await metric(node, "vsrt_node_lease_age_seconds") for node in cluster.nodes]
    return min(ages) > LEASE + 1


async def looks_after_all(service: Service) -> bool:
    return await metric(service, "vsrt_cluster_stats_age_seconds") < 1


async def test_an_outage_of_redis_longer_than_a_lease_is_no_loss_of_nodes_and_one_after_it_is(
    new_cluster, own_redis: RedisServer
) -> None:
    cluster: Cluster = await new_cluster(nodes=2, redis=own_redis)
    before = await node_ids(cluster)
    await own_redis.stop()
    await until(lambda: leases_have_lapsed(cluster), timeout=30)
    for node in cluster.nodes:
        node.pause()  # so that the router is there first, and finds leases that nobody has renewed
    await own_redis.start()
    await until(lambda: looks_after_all(cluster.router))
    for node in cluster.nodes:
        node.resume()
    await until_equal(lambda: node_ids(cluster), before)
    for node in cluster.nodes:
        await until(lambda node=node: "again=true" in node.log())
        assert "new node id" not in node.log(), "who lives keeps its id"
    for service in cluster.services:
        assert await dead(service) == {"up": 0, "draining": 0}

    victim, other = cluster.nodes
    await victim.kill()
    for witness in (other, cluster.router):
        await until_equal(lambda witness=witness: dead(witness), {"up": 1, "draining": 0}, timeout=30)


async def test_of_a_node_killed_while_it_drains_all_others_tell_how_many_clients_it_cut_off(new_cluster) -> None:
    cluster: Cluster = await new_cluster(nodes=2, DRAIN_SECONDS="60")
    leaving, staying = cluster.nodes
    async with AsyncExitStack() as stack:
        for index in range(20):
            await stack.enter_async_context(cluster.user(f"u{index}", node=leaving))
        ending = asyncio.create_task(leaving.terminate())
        await until(lambda: says_draining(cluster, leaving))
        await leaving.kill()
        await ending
        for witness in (staying, cluster.router):
            await until_equal(lambda witness=witness: dead(witness), {"up": 0, "draining": 1}, timeout=30)
            cut_off = await dead(witness, "vsrt_cluster_dead_nodes_connections_total")
            assert cut_off["up"] == 0
            assert 10 < cut_off["draining"] <= 20


async def says_draining(cluster: Cluster, node: Service) -> bool:
    said = {each["name"]: each["state"] for each in (await cluster.router.read("nodes"))["nodes"]}
    return said[node.name] == "draining"
