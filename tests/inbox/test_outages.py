"""Processes die, databases go away and come back: everything is in the inbox once, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Iterable
from functools import partial
from itertools import count, takewhile

import httpx
import pytest

from tests.conftest import NewCluster
from tests.inbox.desk import Desk
from tests.inbox.shelf import locked
from tests.support.cluster import Cluster
from tests.support.postgres import PostgresServer
from tests.support.tcp_proxy import TcpProxy, Weather
from tests.support.waiting import until


async def publish(cluster: Cluster, user: int, numbers: Iterable[int]) -> list[str]:
    """Publish numbers to a user through all routers in turn, however often it takes; return the ids."""
    ids = []
    for n in numbers:
        router, key = cluster.routers[n % len(cluster.routers)], secrets.token_hex(8)
        body = {"audience": {"users": [user]}, "message": {"type": "note", "n": n}}
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = await router.post("messages", body, key=key)
                assert answer.status_code == 202, answer.text
                ids.append(answer.json()["id"])
                break
            router = cluster.routers[0]
    return ids


async def everything(desk: Desk) -> list[str]:
    """Return all ids of a personal inbox, newest first."""
    ids: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await desk.get(limit=100, audience="user", **cursor)
        ids += [item["id"] for item in page["notifications"]]
        if page["next_cursor"] is None:
            return ids
        cursor = {"cursor": page["next_cursor"]}


async def test_routers_killed_while_they_archive_neither_lose_nor_double(
    new_cluster: NewCluster, database_url: str, own_redis
):
    """Two routers, one of them killed and started anew, twice, while both publish and archive."""
    cluster = await new_cluster(routers=2, redis=own_redis, DATABASE_URL=database_url, DATABASE_TIMEOUT="30")
    user = cluster.number()
    desk = Desk(cluster, cluster.tokens.user(user))
    enough = asyncio.Event()
    numbers = takewhile(lambda _: not enough.is_set(), count())
    publishing = asyncio.create_task(publish(cluster, user, numbers))
    for _ in range(2):
        before = await desk.unread(audience="user")
        await until(partial(_grown, desk, before), timeout=60)
        await cluster.routers[1].kill()
        await cluster.routers[1].start()
    enough.set()
    ids = await publishing
    await until(lambda: _there(desk, len(ids)), timeout=60)
    assert await everything(desk) == ids[::-1]


async def _grown(desk: Desk, before: int) -> bool:
    return await desk.unread(audience="user") > before


async def _there(desk: Desk, count: int) -> bool:
    unread = await desk.unread(audience="user")
    assert unread >= count, f"{unread} of {count}"
    return True


async def test_a_database_that_is_away_stops_neither_publishes_nor_sockets_nor_nodes(
    new_cluster: NewCluster, own_postgres: PostgresServer
):
    cluster = await new_cluster(DATABASE_URL=await own_postgres.new_database(), DATABASE_TIMEOUT="10")
    user = cluster.number()
    desk = Desk(cluster, cluster.tokens.user(user))
    before = await publish(cluster, user, range(5))
    await desk.settled(5, audience="user")
    await own_postgres.crash()
    async with cluster.user(user) as client:
        meanwhile = await publish(cluster, user, range(50))
        assert [(await client.receive("note"))["id"] for _ in meanwhile] == meanwhile
        for method, path, more in (
            ("GET", "", {}),
            ("GET", "/unread-count", {}),
            ("POST", f"/{before[0]}/read", {}),
            ("POST", "/read", {"json": {"all": True}}),
            ("DELETE", f"/{before[0]}", {}),
        ):
            answer = await desk.call(method, path, **more)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2"), answer.text
            assert answer.json()["detail"] == "the inbox's database does not answer just now"
        assert (await cluster.node.health("/readyz")).status_code == 200
        assert (await cluster.router.health("/readyz")).status_code == 200
        await own_postgres.start()
        await desk.there(*before, *meanwhile, audience="user")
    assert await everything(desk) == [*before, *meanwhile][::-1]


async def test_a_database_that_hangs_does_not_hold_up_the_nodes_loop(new_cluster: NewCluster, postgres: PostgresServer):
    url = await postgres.new_database()
    cluster = await new_cluster(DATABASE_URL=url, DATABASE_TIMEOUT="10", DATABASE_POOL_SIZE="2")
    desk = Desk(cluster, cluster.tokens.user(7))
    await desk.settled(0)
    async with cluster.user(7) as client, locked(url):
        calls = [asyncio.create_task(desk.call("GET", "/unread-count")) for _ in range(40)]
        # Two ask, sixteen wait for them; the others are told at once.
        await until(lambda: sum(call.done() for call in calls) == 22)
        await client.send("ping")
        await client.receive("pong")
        assert sum(call.done() for call in calls) == 22, "those who wait do not hold up the socket"
        assert {answer.status_code for answer in await asyncio.gather(*calls)} == {503}
    await desk.settled(0)


async def test_services_whose_database_hangs_end_without_waiting_for_it(
    new_cluster: NewCluster, postgres: PostgresServer
):
    """Not as long as each connection of the pool may take to close."""
    url = await postgres.new_database()
    async with TcpProxy(postgres.port) as proxy:
        here = url.replace(f":{postgres.port}/", f":{proxy.port}/")
        cluster = await new_cluster(DATABASE_URL=here, DATABASE_TIMEOUT="60")
        await publish(cluster, 7, range(1))
        await Desk(cluster, cluster.tokens.user(7)).settled(1)
        proxy.become(Weather.SWALLOW)
        ends = await asyncio.gather(*(service.terminate(timeout=30) for service in cluster.services))
    assert ends == [0, 0]


async def test_a_router_without_its_database_starts_and_archives_once_it_is_there(
    new_cluster: NewCluster, own_postgres: PostgresServer
):
    url = await own_postgres.new_database()
    await own_postgres.terminate()
    cluster = await new_cluster(DATABASE_URL=url, DATABASE_TIMEOUT="10")
    ids = await publish(cluster, 7, range(3))
    await own_postgres.start()
    await Desk(cluster, cluster.tokens.user(7)).there(*ids)


async def test_without_an_inbox_its_calls_say_so_and_nothing_is_archived(new_cluster: NewCluster):
    cluster = await new_cluster()
    await publish(cluster, 7, range(1))
    for method, path in (("GET", ""), ("GET", "/unread-count"), ("POST", "/read"), ("DELETE", "/x")):
        answer = await Desk(cluster, cluster.tokens.user(7)).call(method, path)
        assert (answer.status_code, answer.json()) == (404, {"detail": "there is no inbox here: DATABASE_URL is off"})


@pytest.mark.parametrize("service", ["node", "router"])
async def test_a_schema_that_is_not_there_stops_the_start_with_a_line(
    new_cluster: NewCluster, postgres: PostgresServer, service: str
):
    cluster = await new_cluster()
    add = cluster.add_node if service == "node" else cluster.add_router
    refused = add(DATABASE_URL=await postgres.new_database(empty=True))
    refused.launch()
    assert await refused.exit_status(timeout=60) == 1
    assert refused.log_tail(1) == (
        f"{service}: DATABASE_URL: the schema is not there; needed is 0001: run `python -m router.migrate` first"
    )
