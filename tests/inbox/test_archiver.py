"""From Redis to the database: all of it, in order, once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

import router.turn
from router.archive_batch import Event
from router.archive_counts import ArchiveCounts
from router.archive_store import ArchiveStore, Written
from router.archiver import Archiver
from shared.database import Database
from shared.errors import RedisUnavailable
from shared.ids import Position
from shared.keys import SHARED_TAG, TAGS, Keys
from shared.redis_link import RedisLink
from shared.scripts import Scripts
from shared.tasks import running
from tests.inbox.shelf import locked, rows
from tests.shared.press import Item, Press
from tests.support.ports import LOOPBACK, free_port
from tests.support.postgres import PostgresServer
from tests.support.waiting import until, until_equal

ENOUGH = 10_000_000


@pytest.fixture
def press(link: RedisLink, scripts: Scripts, keys: Keys) -> Press:
    return Press(link, scripts, keys, archive_max_bytes=ENOUGH)


@asynccontextmanager
async def archiving(link: RedisLink, keys: Keys, database: Database) -> AsyncIterator[ArchiveCounts]:
    counts = ArchiveCounts()
    async with running(Archiver(link, Scripts(keys), keys, ArchiveStore(database), counts).run(), "archiver"):
        yield counts


async def waiting(link: RedisLink, keys: Keys) -> int:
    return sum(await asyncio.gather(*(link.send("XLEN", keys.archive(tag)) for tag in TAGS)))


def audience(name: str) -> str:
    return name if name in ("all", "admin") else f"user:{name}"


async def test_what_was_published_is_written_and_taken_off_redis(
    database: Database, link: RedisLink, keys: Keys, press: Press
):
    published = [(name, await press.event(name)) for name in ("all", "admin", "bob", "eve") for _ in range(3)]
    async with archiving(link, keys, database) as counts:
        await until_equal(lambda: counts.archived, 12)
        published += [("bob", await press.event("bob"))]
        await until_equal(lambda: counts.archived, 13)
        await until_equal(lambda: waiting(link, keys), 0)
    for name in ("all", "admin", "bob", "eve"):
        positions = [Position.parse(result.position) for to, result in published if to == name]
        assert await rows(database, audience(name)) == positions
    assert (counts.repeated, counts.set_aside, counts.given_up) == (0, 0, 0)


class Counting(ArchiveStore):
    """Notes how many events each transaction is given."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.sizes: list[int] = []

    async def write(self, events: Sequence[Event]) -> Written:
        self.sizes.append(len(events))
        return await super().write(events)


async def test_what_waits_in_several_tags_is_written_in_one_transaction(
    database: Database, link: RedisLink, keys: Keys, press: Press
):
    names = ["all", *(f"user-{n}" for n in range(40))]
    for name in names:
        await press.event(name)
    assert all(await asyncio.gather(*(link.send("XLEN", keys.archive(tag)) for tag in TAGS))), "each has some"
    store, counts = Counting(database), ArchiveCounts()
    async with running(Archiver(link, Scripts(keys), keys, store, counts).run(), "archiver"):
        await until_equal(lambda: counts.archived, len(names))
    assert store.sizes == [len(names)]


class CutOff:
    """A link that does not reach the server of one hash tag, and reaches all others."""

    def __init__(self, link: RedisLink, tag: str) -> None:
        self._link, self._tag = link, tag

    def send(self, *args: Any) -> Any:
        if any(f"{{{self._tag}}}" in str(arg) for arg in args):
            unreachable = asyncio.get_running_loop().create_future()
            unreachable.set_exception(RedisUnavailable("no connection"))
            return unreachable
        return self._link.send(*args)


async def test_a_tag_whose_server_is_away_keeps_no_other_one_waiting(
    database: Database, link: RedisLink, keys: Keys, press: Press
):
    for name in ("all", "bob"):
        await press.event(name)
    async with archiving(cast(RedisLink, CutOff(link, SHARED_TAG)), keys, database) as counts:
        await until_equal(lambda: counts.archived, 1)
    assert len(await rows(database, "user:bob")) == 1
    async with archiving(link, keys, database) as counts:
        await until_equal(lambda: counts.archived, 1)
    assert len(await rows(database, "all")) == 1


async def test_batches_that_are_larger_than_a_look_takes_are_written_whole(
    database: Database, link: RedisLink, keys: Keys, press: Press
):
    large = '{"type":"x","text":"' + "x" * 60_000 + '"'
    for _ in range(8):
        await press(*(Item(large, "all") for _ in range(20)))  # each entry is more than a look's 512 KiB
    await press(*(Item("{" + '"type":"x"', "bob") for _ in range(2000)))
    async with archiving(link, keys, database) as counts:
        await until_equal(lambda: counts.archived, 160 + 2000, timeout=60)
    assert len(await rows(database, "user:bob")) == 2000


async def test_an_entry_that_nobody_can_read_is_set_aside_and_the_others_go_on(
    database: Database, link: RedisLink, keys: Keys, press: Press
):
    key = keys.archive(SHARED_TAG)
    good = b"1 e 11 all 5-1 7 - - -\n" + b'{"type":"x"'
    bad = b"1 e 9 all 5-2 7 - - -\n" + b'{"type":x'
    strange = b"1 e 11 u.! 5-3 7 - - -\n" + b'{"type":"x"'
    typeless = b"1 e 9 all 5-5 7 - - -\n" + b'{"typo":1'
    await link.send("XADD", key, "1-1", "e", good + bad + strange + typeless + good.replace(b"5-1", b"5-4"))
    await link.send("XADD", key, "2-2", "e", b"\xff\xfe no envelope")
    await link.send("XADD", key, "3-3", "somebody", "else's")
    await press.event("all")
    async with archiving(link, keys, database) as counts:
        await until_equal(lambda: (counts.archived, counts.set_aside), (3, 5))
    dead = await link.send("XRANGE", keys.archive_dead(SHARED_TAG), "-", "+")
    found = [dict(zip(fields[::2], fields[1::2], strict=True)) for _, fields in dead]
    assert [entry[b"e"] for entry in found] == [bad, strange, typeless, b"\xff\xfe no envelope", b"somebody else's"]
    assert [entry[b"entry"] for entry in found] == [b"1-1", b"1-1", b"1-1", b"2-2", b"3-3"]
    assert all(entry[b"reason"] for entry in found)


async def test_events_that_were_given_up_are_counted_and_told(
    database: Database, link: RedisLink, keys: Keys, press: Press, caplog: pytest.LogCaptureFixture
):
    await press.event("all")
    async with archiving(link, keys, database) as counts:
        await until_equal(lambda: counts.archived, 1)
    press.archive_max_bytes = 40_000
    for _ in range(300):
        await press.event("all", '{"type":"x","text":"' + "x" * 1000 + '"')
    left = await waiting(link, keys)
    async with archiving(link, keys, database) as counts:
        await until_equal(lambda: counts.archived, left)
        await press.event("all")
        await until_equal(lambda: counts.archived, left + 1)
    assert counts.given_up == 300 - left > 150
    (told,) = [record for record in caplog.records if record.msg.startswith("events are lost to the inbox")]
    assert (told.levelno, told.events, told.tag) == (logging.ERROR, 300 - left, SHARED_TAG)  # type: ignore[attr-defined]


class Overflowing:
    """A link to a Redis whose archive is trimmed between an archiver's first look and its second."""

    def __init__(self, link: RedisLink, until: str) -> None:
        self._link, self._until = link, until

    def send(self, *args: Any) -> Any:
        if args[0] == "XRANGE" and str(args[2]).startswith("(") and self._until:
            self._link.send("XTRIM", args[1], "MINID", self._until)
            self._until = ""
        return self._link.send(*args)


async def test_events_that_are_given_up_while_others_are_read_are_counted_too(
    database: Database, link: RedisLink, keys: Keys, press: Press
):
    await press.event("all")
    async with archiving(link, keys, database) as counts:
        await until_equal(lambda: counts.archived, 1)
    for _ in range(10):
        await press.event("all")
    sixth = (await link.send("XRANGE", keys.archive(SHARED_TAG), "-", "+"))[5][0].decode()
    async with archiving(cast(RedisLink, Overflowing(link, sixth)), keys, database) as counts:
        await until_equal(lambda: counts.archived, 1 + 5)
        await until_equal(lambda: waiting(link, keys), 0)
    assert counts.given_up == 4


async def test_two_routers_share_the_work_and_when_one_leaves_the_other_goes_on_at_once(
    database: Database, link: RedisLink, keys: Keys, press: Press, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(router.turn, "TURN_MS", 60_000)  # it does not run out; it is given back
    async with archiving(link, keys, database) as first:
        await press.event("all")
        await until_equal(lambda: first.archived, 1)
        async with archiving(link, keys, database) as second:
            await press.event("all")
            await until_equal(lambda: first.archived, 2)
    async with archiving(link, keys, database) as second:
        await press.event("all")
        await until_equal(lambda: second.archived, 1, timeout=30)
    assert len(await rows(database, "all")) == 3


async def test_when_a_router_dies_another_takes_its_turn(
    database: Database, link: RedisLink, keys: Keys, press: Press, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(router.turn, "TURN_MS", 200)
    for tag in TAGS:
        await link.send("SET", keys.archive_turn(tag), "a dead one", "PX", 500)
    await press.event("all")
    async with archiving(link, keys, database) as counts:
        await until_equal(lambda: counts.archived, 1)


async def test_routers_that_all_think_it_is_their_turn_write_everything_once(
    database: Database, link: RedisLink, keys: Keys, press: Press, monkeypatch: pytest.MonkeyPatch
):
    async def mine(_: object) -> bool:
        return True

    monkeypatch.setattr(router.turn.Turn, "take", mine)
    async with archiving(link, keys, database) as one, archiving(link, keys, database) as two:
        for n in range(300):
            await press.event("all" if n % 2 else "bob")
        await until_equal(lambda: one.archived + two.archived, 300, timeout=60)
        await until_equal(lambda: waiting(link, keys), 0)
    assert len(await rows(database, "all")) + len(await rows(database, "user:bob")) == 300
    assert one.given_up + two.given_up == one.set_aside + two.set_aside == 0


async def test_a_router_that_dies_after_the_commit_leaves_no_doubles(
    database: Database, link: RedisLink, keys: Keys, press: Press
):
    await press(*(Item(audience="all") for _ in range(5)))
    entries = await press.archive()
    async with archiving(link, keys, database) as counts:
        await until_equal(lambda: counts.archived, 5)
    # It had written them, and died before it took them off.
    await link.send("DEL", keys.archive(SHARED_TAG), keys.archive_done(SHARED_TAG))
    for entry, envelopes in entries:
        await link.send("XADD", keys.archive(SHARED_TAG), entry, "e", envelopes)
    await press.event("all")
    async with archiving(link, keys, database) as counts:
        await until_equal(lambda: (counts.repeated, counts.archived), (5, 1))
    assert len(await rows(database, "all")) == 6


async def test_a_redis_that_has_forgotten_everything_is_gone_on_with(
    database: Database, link: RedisLink, keys: Keys, press: Press
):
    async with archiving(link, keys, database) as counts:
        await press.event("all")
        await until_equal(lambda: counts.archived, 1)
        await link.send("DEL", *await link.send("KEYS", f"{keys.prefix}:*"))
        await press.event("all")
        await until_equal(lambda: counts.archived, 2)
    assert (len(await rows(database, "all")), counts.given_up) == (2, 0)


async def test_a_redis_that_comes_back_older_repeats_and_loses_nothing(
    database: Database, link: RedisLink, keys: Keys, press: Press
):
    """It has forgotten the last appends, and that the ones before were taken off."""
    await press(*(Item(audience="all") for _ in range(3)))
    copies = {key: await link.send("DUMP", key) for key in await link.send("KEYS", f"{keys.prefix}:*")}
    await press.event("all")
    async with archiving(link, keys, database) as counts:
        await until_equal(lambda: counts.archived, 4)
    await link.send("DEL", *await link.send("KEYS", f"{keys.prefix}:*"))
    for key, copy in copies.items():
        await link.send("RESTORE", key, 0, copy)
    await link.send("HINCRBY", keys.seq(SHARED_TAG), "#epoch", 1)  # as every link does that sees a forgetful server
    await press.event("all")
    async with archiving(link, keys, database) as counts:
        await until_equal(lambda: (counts.repeated, counts.archived), (3, 1))
    assert len(await rows(database, "all")) == 5


# --- the database is away


async def test_a_postgresql_that_crashes_and_comes_back_loses_nothing_and_delays_no_publish(
    own_postgres: PostgresServer, link: RedisLink, keys: Keys, press: Press, caplog: pytest.LogCaptureFixture
):
    async with Database(await own_postgres.new_database(), name="tests", timeout=30) as database:
        async with archiving(link, keys, database) as counts:
            for _ in range(50):
                await press.event("bob")
            await until(lambda: counts.archived > 0)
            await own_postgres.crash()
            for _ in range(200):
                await press.event("bob")
            await until(lambda: counts.failures > 1)
            assert counts.away
            await own_postgres.start()
            await until_equal(lambda: counts.archived + counts.repeated, 250, timeout=60)
            await until_equal(lambda: waiting(link, keys), 0)
            assert not counts.away
        assert len(await rows(database, "user:bob")) == 250
    said = [record.msg for record in caplog.records if record.name == "router.archiver"]
    assert said == ["the inbox's database is away; events wait in redis", "the inbox's database is back"]


async def test_a_database_that_does_not_let_us_write_is_given_up_and_asked_again(
    database_url: str, link: RedisLink, keys: Keys, press: Press
):
    async with Database(database_url, name="tests", timeout=2) as database, archiving(link, keys, database) as counts:
        await press.event("bob")
        await until_equal(lambda: counts.archived, 1)
        async with locked(database_url):
            await press.event("bob")
            await until(lambda: counts.failures > 1)
        await until_equal(lambda: counts.archived + counts.repeated, 2)
        assert len(await rows(database, "user:bob")) == 2


async def test_a_router_that_alone_cannot_reach_the_database_leaves_the_work_to_others(
    database: Database, link: RedisLink, keys: Keys, press: Press
):
    nowhere = f"postgresql://nobody@{LOOPBACK}:{free_port()}/nothing"
    await press.event("bob")
    async with Database(nowhere, name="tests", timeout=1) as unreachable, archiving(link, keys, unreachable) as cut_off:
        await until(lambda: cut_off.failures > 1)
        assert (cut_off.away, cut_off.lag > 0) == (True, True)
        async with archiving(link, keys, database) as other:
            await until_equal(lambda: other.archived, 1)
            await press.event("bob")
            await until_equal(lambda: other.archived, 2)
            # What it cannot do is done: it has nothing to complain about.
            await until_equal(lambda: (cut_off.away, cut_off.lag), (False, 0))


async def test_the_lag_grows_while_the_database_takes_nothing_and_is_gone_with_what_waited(
    database_url: str, link: RedisLink, keys: Keys, press: Press
):
    async with Database(database_url, name="tests", timeout=1) as database, archiving(link, keys, database) as counts:
        async with locked(database_url):
            await press.event("bob")
            await until(lambda: counts.lag > 0)
            before = counts.lag
            await until(lambda: counts.lag > before)
        await until_equal(lambda: (counts.lag, counts.away), (0, False))
