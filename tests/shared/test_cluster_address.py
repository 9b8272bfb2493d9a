"""Where in a Redis Cluster a slot's master is, and what servers answer to those who ask the wrong one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio.connection import AbstractConnection, Connection
from redis.crc import key_slot

from shared.cluster_address import ClusterAddress, SlotRange, read_slots
from shared.errors import RedisRefused, RedisUnavailable
from shared.keys import SHARED_TAG, Keys
from shared.redis_address import HostAndPort
from shared.redis_link import RedisLink
from shared.scripts import Scripts
from tests.shared.redis_server import RecordingProxy, RedisServer, until
from tests.support.ports import LOOPBACK, free_port
from tests.support.sentinels import command
from tests.support.shards import Shard, Shards

ASKED = ("asked.example", 7000)


# --- who holds a slot


@pytest.mark.parametrize(
    ("host", "master"),
    [
        (b"10.0.0.1", ("10.0.0.1", 7001)),
        ("redis-1.example", ("redis-1.example", 7001)),
        (None, ("asked.example", 7001)),  # cluster-preferred-endpoint-type unknown-endpoint
        (b"", ("asked.example", 7001)),  # it has not been met by anybody and does not know its own address
        (b"?", None),  # its name is asked for, and not known yet
    ],
)
def test_a_master_is_where_its_host_says_or_where_the_asked_server_is(
    host: bytes | str | None, master: tuple[str, int] | None
) -> None:
    answer = [[0, 5460, [host, 7001, b"id", {b"ip": b"10.0.0.1"}], [b"10.0.0.2", 7002, b"id", []]]]
    replica = ("10.0.0.2", 7002)
    assert read_slots(answer, ASKED) == [SlotRange(0, 5460, master, (master, replica) if master else (replica,))]


def test_a_cluster_without_slots_and_a_range_without_servers_are_read() -> None:
    assert read_slots([], ASKED) == []
    assert read_slots([[7, 7]], ASKED) == [SlotRange(7, 7, None, ())]


class NamesThoseAway(ClusterAddress):
    """Every server answers, and names the same masters; only that of a key ``there`` is."""

    def __init__(self, seeds: list[HostAndPort], *keys: str) -> None:
        super().__init__("redis://localhost", seeds=seeds, keys=keys)
        self.asked: list[HostAndPort] = []
        self.patience = 0.0  # s, with the masters of the last connection

    async def _ask_for_masters(self, server: HostAndPort, timeout: float) -> dict[HostAndPort, str]:
        self.asked.append(server)
        self.patience = 0
        return {(f"{key}.example", 7000): key for key in self._slots}

    async def _open_proved(self, where: HostAndPort, key: str, name: str, timeout: float) -> AbstractConnection:
        self.patience += timeout
        if key != "there":
            raise RedisUnavailable("names one that is away")
        return Connection()


async def test_while_a_master_is_away_two_servers_are_asked_at_a_time_and_others_the_next_time() -> None:
    seeds = [(host, 7000) for host in "abcd"]
    where = NamesThoseAway(seeds, "away")
    for expected in (seeds[:2], seeds[2:], seeds[:2]):
        where.asked.clear()
        with pytest.raises(RedisUnavailable, match="names one that is away"):
            await where.connect(name="test", timeout=1)
        assert where.asked == expected


async def test_whoever_led_to_a_second_choice_is_asked_last_the_next_time() -> None:
    seeds = [(host, 7000) for host in "abc"]
    where = NamesThoseAway(seeds, "away", "there")
    for _ in seeds:
        await where.connect(name="test", timeout=1)
        assert (where.elsewhere, where.proof) == (True, ("EXISTS", "there"))
    assert where.asked == seeds


async def test_masters_that_hang_leave_time_for_one_that_is_there() -> None:
    where = NamesThoseAway([("a", 7000)], "away", "away too", "there")
    await where.connect(name="test", timeout=3)
    assert where.patience == 3


# --- what real servers say


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shards(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shards]:
    """Three masters: one has the slots of the shared tag and some more, one those of a bucket, one none of ours."""
    half = key_slot(SHARED_TAG.encode())
    ranges = ((0, half), (half + 1, 16000), (16001, 16383))
    async with Shards(tmp_path_factory.mktemp("shards"), ranges=ranges, replicas_of=()) as shards:
        yield shards


def address(keys: Keys, tags: str, *seeds: Shard) -> ClusterAddress:
    unused, names = f"redis://{LOOPBACK}:{free_port()}", [keys.seq(tag) for tag in tags]
    return ClusterAddress(unused, seeds=[(LOOPBACK, seed.port) for seed in seeds], keys=names)


async def port_of(link: RedisLink) -> bytes:
    (port,) = (await link.send("CONFIG", "GET", "port")).values()
    return bytes(port)


@pytest.mark.parametrize("tag", ["c", "0"])
@pytest.mark.parametrize("seed", [0, 1])
async def test_any_server_leads_to_the_master_of_a_tag(shards: Shards, keys: Keys, tag: str, seed: int) -> None:
    async with RedisLink(address(keys, tag, shards.servers[seed]), name="test") as link:
        assert await link.wait_connected(20)
        assert await port_of(link) == b"%d" % (await shards.master(tag)).port


async def test_of_several_tags_the_first_one_leads_whose_master_is_there(shards: Shards, keys: Keys) -> None:
    first, second = await shards.master("c"), await shards.master("0")
    where = address(keys, "c0", first, second)
    async with RedisLink(where, name="test") as link:
        assert await link.wait_connected(20)
        assert (await port_of(link), where.elsewhere) == (b"%d" % first.port, False)
        first.pause()
        try:
            link.drop()
            await until(lambda: link.reconnects == 1 and link.connected)
        finally:
            first.resume()
        assert (await port_of(link), where.elsewhere) == (b"%d" % second.port, True)
        await shards.whole()  # the others may have taken it for dead
        lost = link.reconnects
        link.drop()
        await until(lambda: link.reconnects > lost and link.connected)
        assert (await port_of(link), where.elsewhere) == (b"%d" % first.port, False)


async def test_a_server_that_is_not_the_one_to_ask_has_done_nothing_and_is_left(shards: Shards, keys: Keys) -> None:
    wrong = await shards.master("c")
    async with RedisLink(wrong.url, name="test") as link:
        assert await link.wait_connected(20)
        with pytest.raises(RedisUnavailable, match=r"^MOVED 13907$"):  # where to is nobody's business but the log's
            await link.send("SET", keys.archive_done("0"), "x")
        await until(lambda: link.reconnects == 1)


async def test_while_a_slot_moves_what_cannot_be_done_is_refused_and_the_connection_stays(
    shards: Shards, keys: Keys
) -> None:
    source, target = await shards.master("0"), await shards.master("c")
    slot, names = str(key_slot(b"0")), (keys.archive_done("0"), keys.users("0"))
    await command(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", await source.id())
    await command(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", await target.id())
    try:
        async with RedisLink(source.url, name="from") as old, RedisLink(target.url, name="to") as new:
            assert await old.wait_connected(20)
            assert await new.wait_connected(20)
            with pytest.raises(RedisUnavailable, match="ASK"):
                await old.send("GET", names[0])
            _, refused = new.send("ASKING"), new.send("MGET", *names)
            with pytest.raises(RedisUnavailable, match="TRYAGAIN"):
                await refused
            assert (old.reconnects, new.reconnects) == (0, 0)
            assert old.connected
            assert new.connected
    finally:
        for server in (source, target):
            await command(server, "CLUSTER", "SETSLOT", slot, "STABLE")


async def test_a_link_that_nobody_uses_notices_that_its_tag_went_elsewhere(shards: Shards, keys: Keys) -> None:
    source, target = await shards.master("0"), await shards.master("c")
    async with RedisLink(address(keys, "0", source), name="test") as link:
        assert await link.wait_connected(20)
        await shards.move_slot("0", target)
        await until(lambda: link.reconnects == 1 and link.connected)
        assert await port_of(link) == b"%d" % target.port
    await shards.move_slot("0", source)


async def test_a_slot_that_nobody_serves_and_a_server_that_is_no_cluster_are_named(
    redis_server: RedisServer, keys: Keys, tmp_path: Path
) -> None:
    lacking = Shard(tmp_path / "lacking")
    await lacking.start()
    try:
        with pytest.raises(RedisUnavailable, match=rf"{LOOPBACK}:{lacking.port}: knows nobody who serves slot 7365"):
            await address(keys, "c", lacking).connect(name="test", timeout=3)
        with pytest.raises(RedisUnavailable, match=r"does not lead to slot 7365 or 13907 \("):
            await address(keys, "c0", lacking).connect(name="test", timeout=3)
    finally:
        await lacking.end()
    lone = ClusterAddress("redis://localhost", seeds=[(LOOPBACK, redis_server.port)], keys=[keys.seq("c")])
    with pytest.raises(RedisUnavailable, match=rf"{LOOPBACK}:{redis_server.port}: .*cluster support disabled"):
        await lone.connect(name="test", timeout=3)


async def test_servers_may_have_ipv6_addresses(keys: Keys, tmp_path: Path) -> None:
    only = Shard(tmp_path / "only", options={"bind": f"{LOOPBACK} ::1", "cluster-announce-ip": "::1"})
    await only.start()
    try:
        await command(only, "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        where = ClusterAddress("redis://localhost", seeds=[("::1", only.port)], keys=[keys.seq("c")])
        async with RedisLink(where, name="test") as link:
            assert await link.wait_connected(20)
            assert f" laddr=[::1]:{only.port} ".encode() in await link.send("CLIENT", "INFO")
    finally:
        await only.end()
    with pytest.raises(RedisUnavailable, match=rf"\(\[::1\]:{only.port}: "):
        await where.connect(name="test", timeout=3)


async def test_a_seed_that_knows_nobody_any_more_makes_no_other_server_forgotten(
    shards: Shards, keys: Keys, tmp_path: Path
) -> None:
    reset = Shard(tmp_path / "reset")
    await reset.start()
    async with RecordingProxy(shards.servers[0].port).running() as seed:
        where = ClusterAddress("redis://localhost", seeds=[(LOOPBACK, seed.port)], keys=[keys.seq("0")])
        await (await where.connect(name="test", timeout=3)).disconnect()
        seed.server_port = reset.port
        for server in shards.servers:
            server.pause()
        with pytest.raises(RedisUnavailable, match="knows nobody"):
            await where.connect(name="test", timeout=1)
        for server in shards.servers:
            server.resume()
        await shards.whole()
        await (await where.connect(name="test", timeout=3)).disconnect()
    await reset.end()


async def test_one_server_of_a_cluster_taken_for_all_of_it_is_told_what_to_set(
    shards: Shards, scripts: Scripts, caplog: pytest.LogCaptureFixture
) -> None:
    async with RedisLink(shards.servers[0].url, name="test", prepare=scripts.prepare) as link:
        await until(lambda: any("REDIS_CLUSTER_NODES" in str(vars(record).get("error")) for record in caplog.records))
        assert not link.connected
        with pytest.raises(RedisUnavailable):
            await link.send("PING")


async def test_an_error_that_only_begins_like_one_of_those_is_a_refusal(link: RedisLink) -> None:
    with pytest.raises(RedisRefused, match="ASKED FOR"):
        await link.send("EVAL", "return redis.error_reply('ASKED FOR too much')", 0)
