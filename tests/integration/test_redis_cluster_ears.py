"""Where a node listens in a Redis Cluster: at the shared tag's server, and while that is away at another one.

Here that server holds nothing else and has no replica: it stays away until the test brings it back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Final, Literal

import pytest
import pytest_asyncio
from redis.crc import key_slot

from shared.keys import BUCKET_TAGS, SHARED_TAG
from tests.support.client import Client
from tests.support.cluster import Cluster
from tests.support.counters import counters, until_all_say
from tests.support.producer import Producer, all_at_work, all_published, assert_all_arrived
from tests.support.sentinels import command
from tests.support.shards import Shard, Shards, user_of
from tests.support.waiting import until_equal

SHARED: Final = key_slot(SHARED_TAG.encode())
How = Literal["dies", "hangs", "is cut off"]


async def go(server: Shard, how: How) -> None:
    if how == "dies":
        await server.kill()
    elif how == "hangs":
        server.pause()
    else:  # it answers, and hears nothing of the other servers
        await command(server, "DEBUG", "DROP-CLUSTER-PACKET-FILTER", "-2")


async def come_back(server: Shard, how: How) -> None:
    if how == "dies":
        await server.start()
    elif how == "hangs":
        server.resume()
    else:
        await command(server, "DEBUG", "DROP-CLUSTER-PACKET-FILTER", "-1")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shards]:
    before, alone, after = (0, SHARED - 1), (SHARED, SHARED), (SHARED + 1, 16383)
    async with Shards(tmp_path_factory.mktemp("shards"), ranges=(before, alone, after), replicas_of=()) as shards:
        yield shards


@pytest.fixture
async def shards(whole: Shards) -> AsyncIterator[Shards]:
    """Afterwards, every server works again."""
    yield whole
    await whole.heal()


@pytest.fixture
async def cluster(shards: Shards, new_cluster) -> Cluster:
    """Producers may be far ahead when a node reads what its ear did not hear."""
    return await new_cluster(nodes=2, routers=2, redis=shards, **shards.settings, HISTORY_LENGTH="10000")


async def both(stack: AsyncExitStack, cluster: Cluster, user: str) -> list[Client]:
    """Connect a user to both nodes."""
    return [await stack.enter_async_context(cluster.user(user, node=node)) for node in cluster.nodes]


async def ears(*servers: Shard) -> int:
    """Return how many nodes listen at any of these."""
    lists = [await command(server, "CLIENT", "LIST", "TYPE", "PUBSUB") for server in servers]
    return sum(clients.count("name=vsrt-bus") for clients in lists)


@pytest.mark.parametrize("how", ["dies", "hangs", "is cut off"])
async def test_while_the_shared_tags_server_is_away_users_of_others_hear_what_is_theirs(
    cluster: Cluster, shards: Shards, how: How
) -> None:
    master = await shards.master(SHARED_TAG)
    others = [server for server in shards.servers if server is not master]
    await until_equal(lambda: ears(master), 2)
    users = [user_of(tag, "hears") for tag in BUCKET_TAGS]
    async with AsyncExitStack() as stack:
        clients = {user: await both(stack, cluster, user) for user in users}
        await go(master, how)
        await until_equal(lambda: ears(*others), 2, timeout=20)
        for _ in range(10):  # one after another has to arrive before the next is sent
            for user, theirs in clients.items():
                sent = await cluster.router.send({"users": [user]}, {"type": "word"})
                for client in theirs:
                    assert (await client.receive("word"))["id"] == sent["id"]
        await come_back(master, how)
        await until_equal(lambda: ears(master), 2, timeout=20)
        await until_all_say(cluster, counters(4, 8, 0), timeout=20)
        await cluster.nobody_hears(*(client for theirs in clients.values() for client in theirs))


async def test_nothing_is_lost_or_doubled_while_ears_move_away_and_back_under_producers(
    cluster: Cluster, shards: Shards
) -> None:
    master = await shards.master(SHARED_TAG)
    others = [server for server in shards.servers if server is not master]
    users = [user_of(tag, "moves") for tag in BUCKET_TAGS]
    producers = [Producer(router, user) for router, user in zip(cluster.routers * 2, users, strict=True)]
    async with AsyncExitStack() as stack:
        clients = {producer: await both(stack, cluster, producer.user) for producer in producers}
        async with all_at_work(producers):
            await all_published(producers)
            await master.kill()
            await until_equal(lambda: ears(*others), 2)
            await all_published(producers)
            await master.start()
            await until_equal(lambda: ears(master), 2)
            await all_published(producers)
        for producer in producers:
            await assert_all_arrived(producer, *clients[producer])
            assert producer.refusals == []
        await until_all_say(cluster, counters(4, 8, 0), timeout=20)
