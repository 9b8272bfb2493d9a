"""What a client reads first, on both endpoints."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.client import Client
from tests.support.cluster import Cluster
from tests.support.waiting import until_equal

FIELDS = {"type", "message", "connection_stats", "recovered", "cursor", "heartbeat_interval_ms"}
COUNTERS = {"total_users", "total_user_connections", "total_admin_connections", "total_connections"}


async def test_a_user_is_welcomed_by_name(cluster: Cluster) -> None:
    user = cluster.number()
    async with cluster.user(str(user), username="小明") as browser:
        first = browser.connected
        assert first.keys() == FIELDS | {"user_id"}
        assert first["type"] == "connected"
        assert first["message"] == "用户 小明 已连接"
        assert first["user_id"] == user
        assert first["recovered"] is None
        assert first["heartbeat_interval_ms"] == 30000
        assert first["connection_stats"].keys() == COUNTERS
        assert "用户 小明 已连接" in browser.texts[0], "text travels as it is, without escapes"


async def test_an_admin_is_welcomed_by_name(cluster: Cluster) -> None:
    async with cluster.admin("1", username="admin") as page:
        first = page.connected
        assert first.keys() == FIELDS | {"admin_id"}
        assert first["message"] == "管理员 admin 已连接"
        assert first["admin_id"] == 1
        assert first["recovered"] is None


async def test_the_first_frame_counts_the_client_that_reads_it(cluster: Cluster) -> None:
    user = cluster.number()
    async with cluster.user(user) as phone, cluster.user(user) as laptop:
        assert phone.connected["connection_stats"]["total_users"] >= 1
        stats = laptop.connected["connection_stats"]
        assert stats["total_user_connections"] >= 2
        assert stats["total_connections"] == stats["total_user_connections"] + stats["total_admin_connections"]


async def test_the_cursor_names_a_place_in_both_streams_even_if_nothing_was_ever_sent(cluster: Cluster) -> None:
    async with cluster.user(cluster.number()) as browser, cluster.admin() as page:
        own, everyone = browser.connected["cursor"].split(",")
        assert own.startswith("u.")
        assert everyone.startswith("all.")
        assert [cursor.partition(".")[0] for cursor in page.connected["cursor"].split(",")] == ["admin", "all"]


@pytest.mark.parametrize(
    ("claimed", "shown"),
    [
        ("7", 7),
        (7, 7),
        ("007", "007"),
        ("alice", "alice"),
        ("tenant:alice@example_com-1", "tenant:alice@example_com-1"),
        ("9007199254740991", 9007199254740991),
        ("9007199254740992", "9007199254740992"),
        ("x" * 128, "x" * 128),
    ],
)
async def test_ids_are_integers_only_where_a_browser_reads_them_exactly(
    cluster: Cluster, claimed: object, shown: object
) -> None:
    async with await Client.open(cluster.node.socket_url(token=cluster.tokens.mint(sub=claimed))) as browser:
        first = await browser.receive("connected")
        assert first["user_id"] == shown
        assert type(first["user_id"]) is type(shown)


async def test_without_a_username_the_user_id_is_shown(cluster: Cluster) -> None:
    async with cluster.user("alice") as browser:
        assert browser.connected["message"] == "用户 alice 已连接"


async def test_a_user_may_have_several_devices_and_all_are_served(cluster: Cluster) -> None:
    user = cluster.number()
    async with (
        cluster.user(user) as phone,
        cluster.user(user) as laptop,
        cluster.user(user, node=cluster.nodes[1]) as tablet,
    ):
        await cluster.router.send({"users": [user]}, {"type": "hello"})
        for device in (phone, laptop, tablet):
            await device.receive("hello")


async def _connections(cluster: Cluster, user: int) -> int:
    return int((await cluster.router.read(f"users/{user}/connections"))["connections"])


async def test_the_21st_connection_of_a_user_is_told_that_it_is_one_too_many(cluster: Cluster) -> None:
    user = cluster.number()
    token = cluster.tokens.user(user)
    clients: list[Client] = []
    try:
        for index in range(20):
            client = await Client.open(cluster.nodes[index % 2].socket_url(token=token))
            clients.append(client)
            await client.receive("connected")
        for node in cluster.nodes:
            assert await cluster.refusal(token, node=node) == (4429, "too many connections")
        await asyncio.gather(*(client.settled() for client in clients))
        await clients.pop().__aexit__()
        await until_equal(lambda: _connections(cluster, user), 19)
        async with cluster.user(user) as replacement:
            await replacement.settled()
    finally:
        await asyncio.gather(*(client.__aexit__() for client in clients))


async def test_an_admins_connections_are_counted_on_each_node(new_cluster) -> None:
    cluster: Cluster = await new_cluster(nodes=2, routers=0, MAX_CONNECTIONS_PER_USER="1")
    async with cluster.admin(1), cluster.admin(1, node=cluster.nodes[1]), cluster.user(1):
        for node in cluster.nodes:
            refused = await cluster.refusal(cluster.tokens.admin(1), admin=True, node=node)
            assert refused == (4429, "too many connections")


async def test_of_many_that_come_at_once_as_many_stay_as_may(cluster: Cluster) -> None:
    user = cluster.number()
    token = cluster.tokens.user(user)
    clients = await asyncio.gather(
        *(Client.open(cluster.nodes[index % 2].socket_url(token=token)) for index in range(30))
    )
    try:
        await until_equal(lambda: sum(client.is_open for client in clients), 20)
        refused = [client for client in clients if not client.is_open]
        assert {client.close for client in refused} == {(4429, "too many connections")}
        await asyncio.gather(*(client.receive("connected") for client in clients if client.is_open))
        await until_equal(lambda: _connections(cluster, user), 20)  # the refused counted until they were told
    finally:
        await asyncio.gather(*(client.__aexit__() for client in clients))


async def test_who_asks_for_a_token_by_subprotocol_is_answered_bearer(cluster: Cluster) -> None:
    user = cluster.number()
    url, token = cluster.node.socket_url(), cluster.tokens.user(user)
    async with await Client.open(url, subprotocols=["bearer", token]) as browser:
        assert browser.connection.subprotocol == "bearer"
        assert (await browser.receive("connected"))["user_id"] == user


async def test_a_full_node_sends_clients_elsewhere_and_lets_them_in_when_there_is_room(new_cluster) -> None:
    cluster = await new_cluster(routers=0, NODE_MAX_CONNECTIONS="2")
    async with cluster.user("a"):
        async with cluster.user("b") as second:
            assert await cluster.refusal(cluster.tokens.user("c")) == (1013, "this node is full")
            await second.settled()
        async with cluster.user("c") as third:
            await third.settled()
