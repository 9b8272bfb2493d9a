"""A link per hash tag of a Redis Cluster, and who looks after what is spread over it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from functools import partial

import pytest

from shared.caretaker import Caretaker
from shared.durability import refuse_unsafe_server
from shared.errors import RedisUnavailable
from shared.keys import BUCKET_TAGS, SHARED_TAG, TAGS, Keys, tag_of
from shared.redis_cluster import RedisCluster
from shared.redis_link import RedisLink
from shared.scripts import Scripts
from shared.service_metrics import command_links
from shared.tasks import running
from tests.shared.press import Press
from tests.shared.redis_server import RedisServer, until
from tests.support.ports import LOOPBACK, free_port
from tests.support.shards import user_of
from tests.support.waiting import until_equal

APART = "3"  # the hash tag that lives on a server of its own


# --- which link a command takes


@pytest.fixture
async def cluster(redis_server: RedisServer, own_server: RedisServer, scripts: Scripts) -> AsyncIterator[RedisCluster]:
    """Two servers that know nothing of each other, which is enough for whoever asks the right one."""
    links = {
        tag: RedisLink(
            own_server.url if tag == APART else redis_server.url,
            name=f"test-{tag}",
            prepare=partial(scripts.prepare, tags=(tag,)),
            tags=(tag,),
        )
        for tag in TAGS
    }
    async with RedisCluster(links) as cluster:
        assert await cluster.wait_connected(20)
        yield cluster


@pytest.mark.parametrize(
    ("key", "tag"),
    [("vsrt:users:{2}", "2"), (b"vsrt:held:{0}:node-1.5f3c", "0"), ("vsrt:leases:{c}", "c"), ("vsrt:node:a{9}b", "c")],
)
def test_a_key_tells_its_tag_and_what_has_none_of_ours_is_shared(key: str | bytes, tag: str) -> None:
    assert tag_of(key) == tag


async def test_a_command_goes_to_the_server_of_its_keys_tag(
    cluster: RedisCluster, link: RedisLink, own_server: RedisServer, keys: Keys
) -> None:
    await cluster.send("SET", keys.archive_done(APART), "apart")
    await cluster.send(b"EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", 1, keys.archive_done("2"), "{3}")
    async with RedisLink(own_server.url, name="own") as own:
        assert await own.wait_connected(20)
        assert await own.send("GET", keys.archive_done(APART)) == b"apart"
        assert await own.send("GET", keys.archive_done("2")) is None
    assert await link.send("GET", keys.archive_done(APART)) is None
    assert await cluster.send("GET", keys.archive_done("2")) == b"{3}"
    assert len(await cluster.send("TIME")) == 2


async def test_a_tag_whose_server_is_away_stops_no_other(
    cluster: RedisCluster, own_server: RedisServer, keys: Keys
) -> None:
    own_server.kill()
    await until(lambda: not cluster.connected)
    assert (cluster.of(APART).connected, cluster.of(SHARED_TAG).connected) == (False, True)
    assert (cluster.down_for > 0, cluster.up_for) == (True, 0)
    assert not await cluster.wait_connected(0.05)
    with pytest.raises(RedisUnavailable):
        await cluster.send("GET", keys.archive_done(APART))
    assert await cluster.send("GET", keys.archive_done("0")) is None
    own_server.start()
    assert await cluster.wait_connected(20)
    assert (cluster.reconnects, cluster.down_for) == (1, 0)
    assert 0 < cluster.up_for < cluster.of(SHARED_TAG).up_for


async def test_a_server_that_forgot_is_taught_and_only_its_tags_get_new_epochs(
    cluster: RedisCluster, scripts: Scripts, keys: Keys
) -> None:
    async def epochs() -> dict[str, int]:
        return {tag: int(await cluster.send("HGET", keys.seq(tag), "#epoch")) for tag in TAGS}

    before = await epochs()
    await cluster.of(APART).send("SCRIPT", "FLUSH")
    await cluster.send("HSET", keys.seq(APART), "#run", "its last life's")
    assert (await Press(cluster, scripts, keys).event(user_of(APART))).status == "new"
    after = await epochs()
    assert after.pop(APART) > before.pop(APART)
    assert after == before


async def test_what_several_servers_may_forget_is_said_once(
    cluster: RedisCluster, caplog: pytest.LogCaptureFixture
) -> None:
    await refuse_unsafe_server(cluster, allow_eviction=False)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [text.partition(":")[0] for text in said] == ["redis keeps no append-only file"]


def test_each_connection_is_measured_by_its_own_name() -> None:
    one = RedisLink("redis://localhost", name="one")
    assert command_links(one) == {"commands": one}
    links = {tag: RedisLink("redis://localhost", name=tag, tags=(tag,)) for tag in TAGS}
    named = command_links(RedisCluster(links))
    assert [*named] == ["commands", *(f"commands.{tag}" for tag in TAGS)]


# --- who looks after the cluster


async def test_who_lacks_a_bucket_leaves_the_sums_to_somebody_who_reaches_all(
    cluster: RedisCluster, redis_server: RedisServer, scripts: Scripts, keys: Keys
) -> None:
    nowhere = f"redis://{LOOPBACK}:{free_port()}"
    links = {tag: RedisLink(nowhere if tag == APART else redis_server.url, name=tag, tags=(tag,)) for tag in TAGS}
    async with RedisCluster(links) as lacking:
        assert await lacking.of(SHARED_TAG).wait_connected(20)
        async with running(Caretaker(lacking, scripts, keys).run(), "lacking"):
            await until_equal(lambda: cluster.send("EXISTS", keys.caretaker), 1)
            async with running(Caretaker(cluster, scripts, keys).run(), "whole"):
                await until_equal(lambda: cluster.send("EXISTS", keys.stats), 1)


async def test_a_dead_node_is_cleared_from_the_buckets_that_are_there(
    cluster: RedisCluster, own_server: RedisServer, scripts: Scripts, keys: Keys
) -> None:
    for tag in BUCKET_TAGS:
        await cluster.send("HSET", keys.users(tag), "user", "1 dead=1")
        await cluster.send("HSET", keys.held(tag, "dead"), "user", 1)
    await cluster.send("HSET", keys.users("0"), "another", "1 also-dead=1")
    await cluster.send("HSET", keys.held("0", "also-dead"), "another", 1)
    own_server.kill()
    await until(lambda: not cluster.connected)
    await cluster.send("ZADD", keys.leases, 1, "dead", 2, "also-dead")
    caretaker = Caretaker(cluster, scripts, keys)
    async with running(caretaker.run(), "caretaker"):
        for tag in BUCKET_TAGS:
            if tag != APART:
                await until_equal(lambda tag=tag: cluster.send("HLEN", keys.users(tag)), 0)
        assert await cluster.send("ZCARD", keys.dying) == 2, "what is left of it is forgotten"
        own_server.start()
        await until(lambda: caretaker.stats.deaths and caretaker.stats.deaths.up == 2)


# --- what dead nodes left


async def test_a_bucket_that_forgot_that_a_node_was_cleared_is_looked_through(
    cluster: RedisCluster, scripts: Scripts, keys: Keys
) -> None:
    await cluster.send("ZADD", keys.leases, 9e15, "lives")
    async with running(Caretaker(cluster, scripts, keys).run(), "caretaker"):
        await until_equal(lambda: cluster.send("EXISTS", keys.stats), 1)
        for user, places in (("both", "1 lives=1 dead=2"), ("left", "1 dead=1")):
            await cluster.send("HSET", keys.users(APART), user, places)
            await cluster.send("HSET", keys.held(APART, "dead"), user, 1)
        cluster.of(APART).drop()
        await until(lambda: cluster.reconnects == 1)
        assert await cluster.wait_connected(20)
        await until_equal(lambda: cluster.send("HGETALL", keys.users(APART)), {b"both": b"1 lives=1"})
        await until_equal(lambda: cluster.send("EXISTS", keys.held(APART, "dead")), 0)


async def test_buckets_are_looked_through_when_it_is_the_leases_that_may_be_forgotten(
    cluster: RedisCluster, scripts: Scripts, keys: Keys
) -> None:
    async with running(Caretaker(cluster, scripts, keys).run(), "caretaker"):
        await until_equal(lambda: cluster.send("EXISTS", keys.stats), 1)
        await cluster.send("HSET", keys.users(APART), "left", "1 dead=1")
        await cluster.send("HSET", keys.held(APART, "dead"), "left", 1)
        cluster.of(SHARED_TAG).drop()
        await until_equal(lambda: there_are_users(cluster, keys), False)


async def there_are_users(cluster: RedisCluster, keys: Keys) -> bool:
    return not cluster.connected or await cluster.send("EXISTS", keys.users(APART)) == 1
