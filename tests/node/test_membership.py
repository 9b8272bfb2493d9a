"""A node's lease and registrations, on a real server."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from node.membership import Membership
from shared.caretaker import Caretaker
from shared.cluster import list_nodes, user_places
from shared.errors import RedisError
from shared.ids import Position
from shared.keys import Keys, bucket
from shared.redis_link import RedisLink
from shared.scripts import Scripts
from tests.shared.press import Press
from tests.shared.redis_server import RedisServer, until
from tests.support.ports import free_port


class LocalUsers:
    """The sessions of a node, as numbers."""

    def __init__(self) -> None:
        self.users: Counter[str] = Counter()
        self.admins = 0
        self.tops: dict[str, Position] = {}

    def user_connections_of(self, user: str) -> int:
        return self.users[user]

    def connected_users(self) -> list[str]:
        return [user for user, count in self.users.items() if count]

    def user_count(self) -> int:
        return len(self.connected_users())

    def connection_counts(self) -> tuple[int, int]:
        return self.users.total(), self.admins

    def compare(self, user: str, top: Position) -> None:
        self.tops[user] = top


class Node:
    def __init__(self, name: str, link: RedisLink, scripts: Scripts, keys: Keys) -> None:
        self.local_users = LocalUsers()
        self.ids: list[str] = []
        self.tops: list[tuple[Position, Position, Position]] = []
        self.membership = Membership(
            name, link, scripts, keys, self.local_users, self._took, lambda *tops: self.tops.append(tops)
        )
        self.task: asyncio.Task[None] | None = None

    async def _took(self, node_id: str) -> None:
        self.ids.append(node_id)

    async def connect(self, user: str, count: int = 1) -> Any:
        self.local_users.users[user] += count
        return await self.membership.register(user)

    def disconnect(self, user: str) -> None:
        self.local_users.users[user] = 0
        self.membership.changed(user)

    async def kill(self) -> None:
        """End it as ``kill -9`` does: nothing is said to anybody."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    async def start(self) -> Node:
        self.task = asyncio.create_task(self.membership.run())
        await until(lambda: self.membership.joined)
        return self


class Cluster:
    def __init__(self, link: RedisLink, scripts: Scripts, keys: Keys) -> None:
        self.link, self.scripts, self.keys = link, scripts, keys
        self.nodes: list[Node] = []

    def add(self, name: str) -> Node:
        node = Node(name, self.link, self.scripts, self.keys)
        self.nodes.append(node)
        return node

    async def places(self, user: str) -> dict[str, int]:
        return await user_places(self.link, self.keys, user)

    async def until_places(self, user: str, places: dict[str, int]) -> None:
        async with asyncio.timeout(30):
            while await self.places(user) != places:
                await asyncio.sleep(0.005)

    async def lapse(self, node: Node) -> None:
        """Let the time of a node's lease be over, as Redis sees it."""
        await self.link.send("ZADD", self.keys.leases, "XX", self.link.server_ms() - 1000, node.membership.node_id)

    async def leases(self) -> list[bytes]:
        found: list[bytes] = await self.link.send("ZRANGE", self.keys.leases, 0, -1)
        return found

    @contextlib.asynccontextmanager
    async def caretaker(self) -> AsyncIterator[Caretaker]:
        caretaker = Caretaker(self.link, self.scripts, self.keys)
        task = asyncio.create_task(caretaker.run())
        try:
            yield caretaker
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def cluster(link: RedisLink, scripts: Scripts, keys: Keys) -> AsyncIterator[Cluster]:
    cluster = Cluster(link, scripts, keys)
    yield cluster
    for node in cluster.nodes:
        await node.kill()


async def test_a_node_is_reachable_under_its_id_before_it_is_listed(cluster: Cluster) -> None:
    node = await cluster.add("web-1").start()
    assert node.ids == [node.membership.node_id]
    assert node.membership.node_id.startswith("web-1.")
    (listed,) = await list_nodes(cluster.link, cluster.keys)
    assert (listed["node_id"], listed["name"], listed["state"]) == (node.ids[0], "web-1", "up")


async def test_two_starts_under_one_name_have_two_ids(cluster: Cluster) -> None:
    assert cluster.add("web-1").membership.node_id != cluster.add("web-1").membership.node_id


async def test_a_registered_user_can_be_found_as_soon_as_it_is_answered(cluster: Cluster) -> None:
    one, two = await cluster.add("web-1").start(), await cluster.add("web-2").start()
    assert (await one.connect("7", 2)).elsewhere == 0
    registration = await two.connect("7")
    assert (registration.elsewhere, registration.blocked, registration.has_states) == (2, False, False)
    assert await cluster.places("7") == {one.ids[0]: 2, two.ids[0]: 1}


async def test_a_registration_says_where_the_users_stream_stands(cluster: Cluster) -> None:
    node = await cluster.add("web-1").start()
    assert (await node.connect("7")).top.n == 0
    event = await Press(cluster.link, cluster.scripts, cluster.keys).event("7")
    assert str((await node.connect("7")).top) == event.position


@pytest.fixture
def renews_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself a node finds within two seconds that its lease was lost; on a slow host that is before anybody else."""
    monkeypatch.setattr("node.membership.RENEW_INTERVAL", 60.0)
    monkeypatch.setattr("node.membership.LEASE_TTL_MS", 240_000)


async def test_every_renewal_brings_the_tops_of_the_shared_streams(cluster: Cluster) -> None:
    node = await cluster.add("web-1").start()
    event = await Press(cluster.link, cluster.scripts, cluster.keys).event("all")
    node.membership.changed(None)
    await until(lambda: str(node.tops[-1][1]) == event.position)
    assert node.tops[-1][0].n == 0


async def test_a_crowd_is_registered_in_a_few_calls(cluster: Cluster) -> None:
    node = await cluster.add("web-1").start()
    registrations = await asyncio.gather(*(node.connect(f"user{number}") for number in range(500)))
    assert {registration.elsewhere for registration in registrations} == {0}
    totals = await cluster.link.send("HGET", cluster.keys.totals, "user")
    async with asyncio.timeout(20):
        while int(totals) != 500:
            totals = await cluster.link.send("HGET", cluster.keys.totals, "user")


async def test_a_user_whose_last_connection_ended_is_gone(cluster: Cluster) -> None:
    node = await cluster.add("web-1").start()
    await node.connect("7")
    node.disconnect("7")
    await cluster.until_places("7", {})


async def test_a_killed_node_is_cleared_by_the_others_caretaker(cluster: Cluster) -> None:
    one, two = await cluster.add("web-1").start(), await cluster.add("web-2").start()
    await one.connect("7", 2)
    await one.connect("8")
    await two.connect("7")
    await one.kill()
    await cluster.lapse(one)
    async with cluster.caretaker() as caretaker:
        await until(lambda: caretaker.stats.deaths and caretaker.stats.deaths.up == 1)
        await until(lambda: caretaker.stats.counters.user_connections == 1)
        assert caretaker.stats.counters.users == 1
    assert await cluster.places("7") == {two.ids[0]: 1}
    assert await cluster.places("8") == {}
    assert [node["name"] for node in await list_nodes(cluster.link, cluster.keys)] == ["web-2"]


@pytest.mark.usefixtures("renews_when_told")
async def test_a_node_that_lost_its_lease_takes_a_new_id_and_registers_everybody_again(cluster: Cluster) -> None:
    node = await cluster.add("web-1").start()
    for user in ("7", "8", "9"):
        await node.connect(user, 2)
    await cluster.lapse(node)
    async with cluster.caretaker() as caretaker:
        await until(lambda: caretaker.stats.deaths and caretaker.stats.deaths.up == 1)
    node.membership.changed(None)
    await until(lambda: len(node.ids) == 2)
    assert node.ids[0] != node.ids[1]
    for user in ("7", "8", "9"):
        await cluster.until_places(user, {node.ids[1]: 2})
    assert await cluster.leases() == [node.ids[1].encode()]
    async with cluster.caretaker() as caretaker:
        await until(lambda: caretaker.stats.counters.user_connections == 6)
        assert caretaker.stats.counters.users == 3


@pytest.mark.usefixtures("renews_when_told")
async def test_a_node_that_comes_back_is_told_what_was_published_while_it_was_not_in_the_registry(
    cluster: Cluster, link: RedisLink, scripts: Scripts, keys: Keys
) -> None:
    node = await cluster.add("web-1").start()
    await node.connect("7")
    await cluster.lapse(node)
    async with cluster.caretaker() as caretaker:
        await until(lambda: caretaker.stats.deaths and caretaker.stats.deaths.up == 1)
    missed = await Press(link, scripts, keys).event("7")
    assert missed.online is False
    node.membership.changed(None)
    await until(lambda: node.local_users.tops["7"] == Position.parse(missed.position))


@pytest.mark.usefixtures("renews_when_told")
async def test_who_registers_just_as_the_lease_is_lost_is_registered_under_the_new_id(cluster: Cluster) -> None:
    node = await cluster.add("web-1").start()
    await cluster.lapse(node)
    async with cluster.caretaker():
        assert (await node.connect("7")).elsewhere == 0
        assert len(node.ids) == 2
        await cluster.until_places("7", {node.ids[1]: 1})


async def test_a_redis_that_comes_back_empty_is_told_everything_again(
    own_server: RedisServer, scripts: Scripts, keys: Keys
) -> None:
    async with RedisLink(own_server.url, name="test", prepare=scripts.prepare) as link:
        assert await link.wait_connected(20)
        cluster = Cluster(link, scripts, keys)
        node = await cluster.add("web-1").start()
        await node.connect("7")
        own_server.kill()
        await until(lambda: not link.connected)
        with pytest.raises(RedisError):
            await node.connect("8")
        own_server.start()
        await until(lambda: link.connected)
        node.membership.changed(None)
        await until(lambda: len(node.ids) == 2)
        await cluster.until_places("7", {node.ids[1]: 1})
        await cluster.until_places("8", {node.ids[1]: 1})
        await node.kill()


async def test_over_a_connection_made_anew_everybody_is_written_down_again(cluster: Cluster) -> None:
    """The lease may have outlived what its server forgot of registrations, and of their ends."""
    node = await cluster.add("web-1").start()
    await node.connect("7", 2)
    await cluster.link.send("HDEL", cluster.keys.users(bucket("7")), "7")
    await cluster.link.send("HSET", cluster.keys.users(bucket("left")), "left", f"1 {node.ids[0]}=1")
    await cluster.link.send("HSET", cluster.keys.held(bucket("left"), node.ids[0]), "left", 1)
    cluster.link.drop()
    await until(lambda: cluster.link.reconnects == 1)
    assert await cluster.link.wait_connected(20)
    await cluster.until_places("7", {node.ids[0]: 2})
    await cluster.until_places("left", {})
    assert node.ids == [node.membership.node_id]


async def test_without_redis_a_registration_fails_at_once(scripts: Scripts, keys: Keys) -> None:
    async with RedisLink(f"redis://127.0.0.1:{free_port()}/0", name="test") as link:
        node = Node("web-1", link, scripts, keys)
        with pytest.raises(RedisError):
            await node.connect("7")


async def test_a_draining_node_says_so(cluster: Cluster) -> None:
    node = await cluster.add("web-1").start()
    node.membership.drain()
    async with asyncio.timeout(20):
        while (await list_nodes(cluster.link, cluster.keys))[0]["state"] != "draining":
            await asyncio.sleep(0.005)


async def test_a_node_that_leaves_takes_everything_with_it(cluster: Cluster) -> None:
    node = await cluster.add("web-1").start()
    await node.connect("7")
    node.disconnect("7")
    await cluster.until_places("7", {})
    await node.membership.leave()
    assert await cluster.leases() == []
    assert await list_nodes(cluster.link, cluster.keys) == []


async def test_a_node_that_leaves_while_it_still_writes_does_not_come_back_under_a_new_id(cluster: Cluster) -> None:
    user = next(f"u{number}" for number in range(1000) if bucket(f"u{number}") == "0")
    node = await cluster.add("web-1").start()
    await node.connect(user)
    node.disconnect(user)
    await node.membership.leave()
    async with asyncio.timeout(20):
        for _ in range(50):  # what is under way gets its turn
            await asyncio.sleep(0)
            await cluster.link.send("PING")
    node.membership.changed(None)
    await cluster.link.send("PING")
    await asyncio.sleep(0.05)
    assert len(node.ids) == 1, "a node that has left took a new id"
    assert await cluster.leases() == []
