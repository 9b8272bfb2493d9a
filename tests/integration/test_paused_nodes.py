"""A node that was paused for longer than its lease, and than its clients' heartbeats, comes back clean.

It takes a new id and registers everybody again; under its old id, which others have cleared, it writes nothing. Its
sockets stay open, and what was published meanwhile arrives once and in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from tests.support.client import Client
from tests.support.cluster import Cluster
from tests.support.registry import Registry
from tests.support.waiting import until, until_equal

HEARTBEAT_TIMEOUT = 5.0  # s: less than the pause, as 75 s are less than one of 90
HEARTBEAT = 1.0


@asynccontextmanager
async def beating(clients: Iterable[Client]) -> AsyncIterator[None]:
    """Send what healthy clients send, whether their node reads it or not."""

    async def beat(client: Client) -> None:
        while True:
            await client.send("ping")
            await asyncio.sleep(HEARTBEAT)

    tasks = [asyncio.create_task(beat(client)) for client in clients]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def ids_of(client: Client, count: int) -> list[str]:
    return [message["id"] for message in await client.receive_many("event", count)]


async def id_of(cluster: Cluster, name: str) -> str:
    (node,) = [node for node in (await cluster.router.read("nodes"))["nodes"] if node["name"] == name]
    return node["node_id"]


async def test_a_node_that_slept_through_its_clearing_comes_back_under_a_new_id_with_all_its_sockets(
    new_cluster,
) -> None:
    cluster: Cluster = await new_cluster(nodes=2, HEARTBEAT_TIMEOUT=str(HEARTBEAT_TIMEOUT), HEARTBEAT_INTERVAL="1")
    sleeper, awake = cluster.nodes
    async with (
        Registry.of(cluster) as registry,
        cluster.user("alice", node=sleeper) as alice,
        cluster.user("alice", node=awake) as alice_too,
        cluster.user("bob", node=sleeper) as bob,
        cluster.admin("root", node=sleeper) as page,
        cluster.user("carol", node=sleeper) as carol,
        cluster.user("carol", node=sleeper) as carol_too,
        cluster.user("zombie", node=sleeper) as zombie,
        beating([alice, alice_too, bob, carol, page]),
    ):
        old_id, awake_id = await id_of(cluster, sleeper.name), await id_of(cluster, awake.name)
        sent = {audience: [await send(cluster, audience)] for audience in ("alice", "bob", "admin", "all")}
        sleeper.pause()
        for _ in range(5):
            for audience, ids in sent.items():
                ids.append(await send(cluster, audience))
        await until(lambda: is_gone(registry, old_id), timeout=20)
        for audience, ids in sent.items():
            ids.append(await send(cluster, audience))
        waiting = asyncio.create_task(arrive(cluster, "dora"))  # the kernel accepts it, the node does not read it yet

        # Something to write down when it wakes up, while its old id is the only one that it has.
        carol_too.connection.transport.abort()

        sleeper.resume()

        async with await waiting as dora:
            for client, audience in ((alice, "alice"), (alice_too, "alice"), (bob, "bob"), (page, "admin")):
                heard = await ids_of(client, len(sent[audience]) + len(sent["all"]))
                assert [id for id in heard if not id.startswith("all.")] == sent[audience]
                assert [id for id in heard if id.startswith("all.")] == sent["all"]
            await until(lambda: is_known(registry, "dora"))
            new_id = await id_of(cluster, sleeper.name)
            assert new_id != old_id
            expected = {
                "alice": {awake_id: 1, new_id: 1},
                "bob": {new_id: 1},
                "carol": {new_id: 1},
                "dora": {new_id: 1},
            }
            await until_equal(lambda: places_of_all_but(registry, "zombie"), expected)
            assert old_id not in await registry.node_ids()
            assert (await zombie.closed())[0] == 4408, "who says nothing is closed all the same"
            for audience, client in (("alice", alice), ("bob", bob), ("admin", page), ("dora", dora)):
                next_id = await send(cluster, audience)
                assert await ids_of(client, 1) == [next_id], "nothing came twice in between"
            assert all(client.is_open for client in (alice, alice_too, bob, page, dora))


async def arrive(cluster: Cluster, user: str) -> Client:
    client = await Client.open(cluster.node.socket_url(token=cluster.tokens.user(user)))
    await client.receive("connected", timeout=15)
    return client


async def send(cluster: Cluster, audience: str) -> str:
    to = audience if audience in ("admin", "all") else {"users": [audience]}
    return (await cluster.router.send(to, {"type": "event"}))["id"]


async def is_gone(registry: Registry, node_id: str) -> bool:
    return node_id not in await registry.node_ids()


async def places_of_all_but(registry: Registry, somebody: str) -> dict[str, dict[str, int]]:
    return {user: places for user, places in (await registry.users()).items() if user != somebody}


async def is_known(registry: Registry, user: str) -> bool:
    return user in await registry.users()
