"""Nodes that leave: nothing is lost, and nobody arrives elsewhere together with everybody else."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from tests.chart.rendering import container, rendered, services
from tests.support.black_hole import black_hole
from tests.support.cluster import Cluster, Node, socket_path
from tests.support.follower import followers
from tests.support.ports import LOOPBACK
from tests.support.raw_client import RawClient
from tests.support.redis_server import RedisServer
from tests.support.traffic import Traffic, assert_nothing_lost_or_doubled
from tests.support.waiting import until


def largest_share(times: Sequence[float], parts: int = 10) -> float:
    """Return which share of events fell into the fullest of so many equal parts of their time."""
    first, width = min(times), (max(times) - min(times)) / parts or 1.0
    counts = [0] * parts
    for time in times:
        counts[min(int((time - first) / width), parts - 1)] += 1
    return max(counts) / len(times)


async def test_a_rolling_restart_of_every_node_under_traffic_loses_and_doubles_nothing(new_cluster) -> None:
    cluster: Cluster = await new_cluster(nodes=3, routers=2, DRAIN_SECONDS="1.5")
    users = [f"u{index}" for index in range(65)]
    async with followers(cluster, users=65, tabs=2, admins=20) as clients:
        traffic = Traffic(cluster, users)
        async with traffic.flowing():
            await traffic.more(30)
            for node in cluster.nodes:
                assert await node.terminate() == 0
                await traffic.more(10)
                await node.start()
            await traffic.more(30)
        await assert_nothing_lost_or_doubled(traffic, clients)
        assert len(traffic.sent["all"]) > 20
        moves = [len(client.returns) - 1 for client in clients]
        assert sum(moves) >= len(clients), "nobody was sent anywhere"


async def test_clients_of_a_drained_node_are_spread_over_its_drain_and_beyond(new_cluster) -> None:
    cluster: Cluster = await new_cluster(routers=0, nodes=2, DRAIN_SECONDS="6")
    leaving, staying = cluster.nodes
    ending: list[bool] = []

    def choose() -> Node:
        return staying if ending else leaving

    async with followers(cluster, users=200, admins=0, choose=choose) as clients:
        ending.append(True)
        assert await leaving.terminate() == 0
        await until(lambda: all(len(client.returns) == 2 for client in clients), timeout=40)
        told = [at + retry_ms / 1000 for client in clients for at, retry_ms in client.told]
        assert len(told) == len(clients)
        # Evenly spread, a tenth holds a tenth, and a third where the machine has paused: all come out of that together.
        # All at the end, or in one slice, would be all of them in one.
        assert largest_share(told) < 0.4
        assert largest_share([client.returns[1] for client in clients]) < 0.6
        assert max(told) - min(told) > 3


async def test_a_node_with_few_clients_does_not_wait_for_the_end_of_its_drain(new_cluster) -> None:
    cluster: Cluster = await new_cluster(routers=0, DRAIN_SECONDS="60")
    async with cluster.user("alice") as alice:
        assert await cluster.node.terminate(timeout=30) == 0
        assert (await alice.closed())[0] == 1012


async def test_those_sent_away_in_a_hurry_come_back_over_what_was_left_of_the_drain(new_cluster) -> None:
    cluster: Cluster = await new_cluster(routers=0, DRAIN_SECONDS="60")
    async with AsyncExitStack() as stack:
        browsers = [await stack.enter_async_context(cluster.user(f"u{i}")) for i in range(100)]
        first = asyncio.create_task(cluster.node.terminate())

        async def draining() -> bool:
            return (await cluster.node.health("/readyz")).status_code == 503

        await until(draining)
        assert await cluster.node.terminate() == 0
        await first
        slots = [(await browser.receive("reconnect"))["retry_after_ms"] for browser in browsers]
        assert largest_share(slots) < 0.4
        assert 30_000 < max(slots) <= 60_100
        for browser in browsers:
            assert (await browser.closed())[0] == 1012


@pytest.mark.parametrize("how", ["told twice", "at the end of its time"])
async def test_a_node_does_not_wait_for_clients_that_never_answer_and_they_lose_nothing(new_cluster, how: str) -> None:
    cluster: Cluster = await new_cluster(nodes=2, DRAIN_SECONDS="60" if how == "told twice" else "0.5")
    leaving, staying = cluster.nodes
    token = cluster.tokens.user("mute")
    mute = await RawClient.open(leaving.port, socket_path(token=token))
    async with mute:
        own, everyone = (await welcome(mute))["cursor"].split(",")
        ids = [(await cluster.router.send({"users": ["mute"]}, {"type": "event"}))["id"] for _ in range(3)]
        ending = asyncio.create_task(leaving.terminate(timeout=15))
        if how == "told twice":

            async def draining() -> bool:
                return (await leaving.health("/readyz")).status_code == 503

            await until(draining)
            await leaving.terminate(timeout=15)
        assert await ending == 0  # the client has read nothing since, nor answered the close
        ids += [(await cluster.router.send({"users": ["mute"]}, {"type": "event"}))["id"] for _ in range(3)]
    async with cluster.user("mute", node=staying, since=f"{own},{everyone}") as again:
        assert again.connected["recovered"] is True
        assert [message["id"] for message in await again.receive_many("event", 6)] == ids
        await again.nothing_else()


async def test_services_whose_redis_collector_and_clients_all_hang_end_within_the_grace_that_the_chart_grants(
    new_cluster, own_redis: RedisServer
) -> None:
    grace = granted()
    with black_hole() as collector:
        cluster: Cluster = await new_cluster(redis=own_redis, OTEL_EXPORTER_OTLP_ENDPOINT=collector, **PATIENT)
        node, token = cluster.node, cluster.tokens.admin(1, scope="publish")
        mute = await RawClient.open(node.port, socket_path(token=cluster.tokens.user("mute")))
        reader, caller = await asyncio.open_connection(LOOPBACK, node.port)
        async with mute:
            await welcome(mute)  # and never answers a close
            caller.write(unfinished_call(token))
            assert b"100 Continue" in await reader.readline()  # a call that waits for its body
            own_redis.pause()
            try:
                ends = await asyncio.gather(
                    node.terminate(timeout=grace["node"]), cluster.router.terminate(timeout=grace["router"])
                )
            finally:
                own_redis.resume()
            caller.close()
    assert ends == [0, 0]
    assert 'could not leave the registry; the lease will lapse error="no answer within 1.5 s"' in node.log()


PATIENT = {
    "REDIS_TIMEOUT": "30",
    "OTEL_TRACES_SAMPLER": "always_on",
    "OTEL_METRIC_EXPORT_INTERVAL": "100",
    "OTEL_BSP_SCHEDULE_DELAY": "100",
}


def granted() -> dict[str, float]:
    """Return the seconds from SIGTERM to SIGKILL beyond the drain."""
    chart = rendered("least")
    drain = {"node": float(chart.settings("node")["DRAIN_SECONDS"]), "router": 0.0}
    return {
        component: pod["spec"]["terminationGracePeriodSeconds"]
        - container(pod)["lifecycle"]["preStop"]["sleep"]["seconds"]
        - drain[component]
        for component, pod in services(chart)
    }


def unfinished_call(token: str) -> bytes:
    head = f"POST /api/v1/admin/system-messages HTTP/1.1\r\nHost: {LOOPBACK}\r\nAuthorization: Bearer {token}\r\n"
    return f"{head}Content-Length: 100\r\nExpect: 100-continue\r\n\r\n".encode()


async def test_a_draining_node_takes_no_more_connections(new_cluster) -> None:
    cluster: Cluster = await new_cluster(routers=0, DRAIN_SECONDS="60")
    async with AsyncExitStack() as stack:
        for index in range(30):
            await stack.enter_async_context(cluster.user(f"u{index}"))
        ending = asyncio.create_task(cluster.node.terminate())

        def refused() -> bool:
            with socket.socket() as sock:
                return sock.connect_ex((LOOPBACK, cluster.node.port)) != 0

        await until(refused)
        assert (await cluster.node.health("/readyz")).text == "draining\n"
        assert await cluster.node.terminate() == 0
        await ending


async def test_connections_reach_a_maximum_age_not_all_at_once_and_lose_nothing(new_cluster) -> None:
    cluster: Cluster = await new_cluster(nodes=2, CONNECTION_MAX_AGE="1")
    users = [f"u{index}" for index in range(30)]
    async with followers(cluster, users=30, admins=5) as clients:
        traffic = Traffic(cluster, users, producers=1)
        async with traffic.flowing():
            await until(lambda: all(len(client.returns) >= 2 for client in clients), timeout=30)
        await assert_nothing_lost_or_doubled(traffic, clients)
        slots = [retry_ms for client in clients for _, retry_ms in client.told]
        assert len(slots) >= len(clients), "cut off, and not asked to leave"
        assert max(slots) <= 1100
        assert len(set(slots)) > 20


async def welcome(client: RawClient) -> dict[str, str]:
    return json.loads(await client.receive_text())
