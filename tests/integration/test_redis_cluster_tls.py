"""A Redis Cluster behind TLS, whose servers call each other by address or by name.

A certificate has to hold for what they call each other, wherever the services were first led.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from shared.keys import BUCKET_TAGS
from tests.support import redis_tls
from tests.support.certificates import Authority
from tests.support.cluster import Cluster
from tests.support.counters import counters, until_all_say
from tests.support.events import accepted
from tests.support.ports import LOOPBACK
from tests.support.producer import Producer, all_at_work, all_published, assert_all_arrived
from tests.support.redis_tls import GuardedShard
from tests.support.sentinels import command
from tests.support.shards import Shards, user_of
from tests.support.waiting import until

NAME: Final = "localhost"
BY_NAME: Final = {"cluster-announce-hostname": NAME, "cluster-preferred-endpoint-type": "hostname"}


@dataclass(frozen=True, slots=True)
class Tls:
    """An authority that only we know, and what has services trust it and show a certificate of its."""

    authority: Authority
    settings: dict[str, str]


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    authority = Authority(tmp_path / "authority")
    settings = redis_tls.settings(authority, authority.sign("client"))
    return Tls(authority, {"REDIS_URL": "rediss://unused", **settings})


@pytest.fixture(params=[LOOPBACK, NAME], ids=["by address", "by name"])
async def shards(request: pytest.FixtureRequest, tls: Tls, tmp_path: Path) -> AsyncIterator[Shards]:
    by_name = request.param == NAME
    pair, more = tls.authority.sign("server", host=NAME if by_name else None), BY_NAME if by_name else {}

    def make(directory: Path) -> GuardedShard:
        return GuardedShard(directory, tls.authority, pair, host=request.param, more=more)

    async with Shards(tmp_path / "shards", make=make) as shards:
        yield shards


async def test_messages_go_through_and_failovers_lose_none(shards: Shards, tls: Tls, new_cluster) -> None:
    settings = {**shards.settings, **tls.settings, "HISTORY_LENGTH": "10000"}
    cluster: Cluster = await new_cluster(nodes=2, routers=2, redis=shards, **settings)
    users = [user_of(tag) for tag in BUCKET_TAGS]
    producers = [Producer(router, user) for router, user in zip(cluster.routers * 2, users, strict=True)]
    async with AsyncExitStack() as stack:
        clients = {
            producer: [await stack.enter_async_context(cluster.user(producer.user, node=n)) for n in cluster.nodes]
            for producer in producers
        }
        admin = await stack.enter_async_context(cluster.admin())
        async with all_at_work(producers):
            for tag in ("3", "c"):
                await all_published(producers)
                await shards.hand_over(await shards.replica(await shards.master(tag)))
            await all_published(producers)
        for producer in producers:
            await assert_all_arrived(producer, *clients[producer])
        await until(lambda: accepted(cluster, "all", "everybody"))
        large = "x" * 60_000  # more than a record of TLS, and than one read
        await cluster.router.send("all", {"type": "large", "text": large})
        for client in (admin, *(client for pair in clients.values() for client in pair)):
            assert (await client.receive("large"))["text"] == large
        await until_all_say(cluster, counters(4, 8, 1), timeout=20)
    assert cluster.complaints() == []


UNFIT: Final = [
    (
        "certificates bear a name, and servers call each other by address",
        {"cluster-announce-ip": LOOPBACK},
        "names {0}:{1.tls_port} as master, which cannot be reached (Error 1 connecting to {0}:{1.tls_port}. [SSL: CERT",
    ),
    (
        "servers tell the port without TLS",
        {"cluster-announce-ip": LOOPBACK, "tls-cluster": "no"},
        "names {0}:{1.port} as master, which cannot be reached (",
    ),
]


@pytest.mark.parametrize(("what", "more", "said"), UNFIT, ids=[what for what, *_ in UNFIT])
async def test_what_servers_call_each_other_is_in_the_log_if_it_leads_nowhere(
    new_cluster, tls: Tls, tmp_path: Path, what: str, more: dict[str, str], said: str
) -> None:
    pair = tls.authority.sign("server", host=NAME)
    server = GuardedShard(tmp_path / "server", tls.authority, pair, host=NAME, more=more)
    await server.start()
    try:
        await command(server, "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        cluster: Cluster = await new_cluster(nodes=0, routers=0, redis=server, **tls.settings)
        # Time enough for a busy machine to get as far; and later attempts are told to those who look closely.
        node = cluster.add_node(REDIS_CLUSTER_NODES=server.address, REDIS_TIMEOUT="9", LOG_LEVEL="DEBUG")
        node.launch()
        await until(lambda: f"{server.address}: {said.format(LOOPBACK, server)}" in node.log(), timeout=40)
        assert "redis is there" not in node.log()
    finally:
        await server.end()
