"""Polls that wait: what wakes them, and what ends them."""

from __future__ import annotations

import asyncio

from tests.integration.polls import admin_poller, ids, poller
from tests.support.cluster import Cluster
from tests.support.events import send
from tests.support.poller import Poller
from tests.support.tokens import in_seconds
from tests.support.waiting import until, until_equal


async def test_a_waiting_poll_is_woken_by_what_comes(cluster: Cluster) -> None:
    user = cluster.number()
    video = cluster.number()
    client = poller(cluster, user)
    await client.poll()

    async def event() -> None:
        await send(cluster, user)

    async def broadcast() -> None:
        await send(cluster, "all")

    async def progress() -> None:
        await cluster.router.notify("transcode_progress", video_id=video, status="x", progress=1, user_id=user)

    for what in (event, broadcast, progress):
        waiting = asyncio.create_task(client.poll(wait=25, states=True))
        await until_equal(lambda: connections(cluster, user), 1)
        await what()
        answer = await asyncio.wait_for(waiting, 10)
        assert len(answer["events"]) + len(answer["states"]) == 1
        await until_equal(lambda: connections(cluster, user), 0)


async def connections(cluster: Cluster, user: int) -> int:
    return (await cluster.router.read(f"users/{user}/connections"))["connections"]


async def test_an_admin_waits_too(cluster: Cluster) -> None:
    client = admin_poller(cluster)
    await client.poll(states=True)
    waiting = asyncio.create_task(client.poll(wait=25, states=True))
    await until(lambda: admins(cluster))
    await cluster.router.notify("transcode_progress", video_id=cluster.number(), status="x", progress=1)
    assert len((await asyncio.wait_for(waiting, 10))["states"]) == 1


async def admins(cluster: Cluster) -> bool:
    return (await cluster.node.stats())["total_admin_connections"] == 1


async def test_a_poll_does_not_wait_if_there_is_something(cluster: Cluster) -> None:
    user = cluster.number()
    client = poller(cluster, user)
    await client.poll(wait=25)
    sent = await send(cluster, user)
    assert ids(await client.poll(wait=25)) == sent


async def test_a_poll_that_waited_in_vain_goes_on_where_it_was(cluster: Cluster) -> None:
    user = cluster.number()
    client = poller(cluster, user)
    await client.poll()
    before = client.since
    answer = await client.poll(wait=0.1)
    assert (answer["events"], answer["cursor"], answer["recovered"]) == ([], before, True)


async def test_a_client_that_does_not_wait_for_its_answer_is_forgotten(cluster: Cluster) -> None:
    user = cluster.number()
    client = poller(cluster, user)
    await client.poll()
    waiting = asyncio.create_task(client.poll(wait=25))
    await until_equal(lambda: connections(cluster, user), 1)
    waiting.cancel()
    await until_equal(lambda: connections(cluster, user), 0)


async def test_a_draining_node_answers_those_who_wait(cluster: Cluster) -> None:
    node = await cluster.start_node(DRAIN_SECONDS="1")
    user = cluster.number()
    client = poller(cluster, user)
    client.node = node
    await client.poll()
    waiting = asyncio.create_task(client.get(since=client.since, wait=25))
    await until_equal(lambda: connections(cluster, user), 1)
    assert await node.terminate() == 0
    answer = await waiting
    assert answer.status_code == 200
    assert answer.headers["connection"] == "close"
    assert answer.json()["cursor"] == client.since


async def test_an_order_ends_a_waiting_poll(cluster: Cluster) -> None:
    user = cluster.number()
    client = poller(cluster, user)
    await client.poll()
    waiting = asyncio.create_task(client.get(since=client.since, wait=25))
    await until_equal(lambda: connections(cluster, user), 1)
    await cluster.router.delete(f"users/{user}/connections")
    answer = await waiting
    assert (answer.status_code, answer.json()) == (401, {"detail": "ended by an administrator"})


async def test_a_token_that_ends_ends_a_waiting_poll(cluster: Cluster) -> None:
    user = cluster.number()
    client = Poller(cluster.node, cluster.tokens.user(user, exp=in_seconds(6)))
    await client.poll()
    answer = await client.get(since=client.since, wait=25)
    assert (answer.status_code, answer.json()) == (401, {"detail": "token expired"})


async def test_a_waiting_poll_counts_among_the_connections_of_its_user(cluster: Cluster) -> None:
    node = await cluster.start_node(MAX_CONNECTIONS_PER_USER="1")
    user = cluster.number()
    client = poller(cluster, user)
    client.node = node
    await client.poll()
    async with cluster.user(user, node=node):
        answer = await client.get(since=client.since, wait=25)
        assert (answer.status_code, answer.json()) == (429, {"detail": "too many connections"})
        assert "retry-after" in answer.headers
        await client.poll()
