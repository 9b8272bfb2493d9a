"""Three thousand users on a node that is killed: registry, counters and users are right again within 15 s."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack

import pytest

from tests.support.cluster import Cluster, Node, socket_path
from tests.support.raw_client import RawClient
from tests.support.registry import Registry
from tests.support.waiting import until, until_equal

USERS = 3000
AT_ONCE = 64
PROMISED = 15.0  # s from the kill to a registry and counters without the dead


class Crowd:
    """Many users with a lean client each."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.names = [f"user-{number}" for number in range(USERS)]
        self._tokens = {name: cluster.tokens.user(name) for name in self.names}
        self._clients: dict[str, RawClient] = {}
        self._cursors: dict[str, str] = {}
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def connect(self, nodes: list[Node]) -> dict[str, bool | None]:
        """Connect everybody, to one node after the other in turn; return what each was told of its recovery."""
        told = await asyncio.gather(
            *(self._connect(name, nodes[index % len(nodes)]) for index, name in enumerate(self.names))
        )
        return dict(zip(self.names, told, strict=True))

    async def _connect(self, name: str, node: Node) -> bool | None:
        since = {"since": self._cursors[name]} if name in self._cursors else {}
        async with self._gate:
            client = await RawClient.open(node.port, socket_path(token=self._tokens[name], **since))
            welcome = json.loads(await client.receive_text())
        assert welcome["type"] == "connected", welcome
        self._clients[name], self._cursors[name] = client, welcome["cursor"]
        return welcome["recovered"]

    async def next_text(self, name: str) -> str:
        return await self._clients[name].receive_text()

    async def leave(self) -> None:
        clients, self._clients = list(self._clients.values()), {}
        await asyncio.gather(*(client.__aexit__() for client in clients))


@pytest.mark.timeout(240)
async def test_three_thousand_users_of_a_killed_node_are_right_again_within_fifteen_seconds(
    new_cluster,
) -> None:
    """It is started again at once under its name; clearing the dead must not touch the living of the same name."""
    cluster: Cluster = await new_cluster(nodes=3)
    victim, *others = cluster.nodes
    crowd = Crowd(cluster)
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(Registry.of(cluster))
        stack.push_async_callback(crowd.leave)
        await crowd.connect([victim])
        dead = await id_of(cluster, victim)
        await until_equal(lambda: stats(cluster), {USERS})
        assert len((await registry.held())[dead]) == USERS

        killed_at = time.monotonic()
        await victim.kill()
        cleared = asyncio.create_task(seconds_until_gone(registry, dead, killed_at))
        await crowd.leave()
        await victim.start()
        reborn = await id_of(cluster, victim, other_than=dead)
        told = await crowd.connect([victim, *others])
        back = time.monotonic() - killed_at
        took = await cleared
        right = await seconds_until_right(cluster, registry, killed_at)

        assert set(told.values()) == {True}, "nobody missed anything"
        held = await registry.held()
        assert sorted(len(users) for users in held.values()) == [USERS // 3] * 3
        assert len(held[reborn]) == USERS // 3, "who lives under the same name was not touched"
        for name in (crowd.names[0], crowd.names[-1]):
            places = await cluster.router.read(f"users/{name}/connections")
            assert (places["connections"], dead in places["nodes"]) == (1, False)
            answer = await cluster.router.send({"users": [name]}, {"type": "hello"})
            assert (answer["online"], answer["nodes"]) == (True, 1)
            assert json.loads(await crowd.next_text(name))["id"] == answer["id"]
    print(f"after kill -9: registry clean {took:.1f} s, all back {back:.1f} s, all right {right:.1f} s")


async def id_of(cluster: Cluster, wanted: Node, *, other_than: str = "") -> str:
    async def found() -> str:
        nodes = (await cluster.router.read("nodes"))["nodes"]
        ids = (node["node_id"] for node in nodes if node["name"] == wanted.name)
        return next((node_id for node_id in ids if node_id != other_than), "")

    return await until(found)


async def stats(cluster: Cluster) -> set[int]:
    """Return how many users and user connections there are, as the router and all nodes tell it."""
    told = [await cluster.router.read("stats"), *[await node.stats() for node in cluster.nodes]]
    return {counters[name] for counters in told for name in ("total_users", "total_user_connections")}


async def seconds_until_gone(registry: Registry, node_id: str, since: float) -> float:
    async def gone() -> bool:
        await asyncio.sleep(0.1)  # a look reads the whole registry
        return node_id not in await registry.node_ids()

    await until(gone, timeout=PROMISED)
    return time.monotonic() - since


async def seconds_until_right(cluster: Cluster, registry: Registry, since: float) -> float:
    """Return when all counters were right and every user was registered once."""

    async def right() -> bool:
        assert await stats(cluster) == {USERS}
        users = await registry.users()
        return len(users) == USERS and all(list(places.values()) == [1] for places in users.values())

    await until(right)
    return time.monotonic() - since
