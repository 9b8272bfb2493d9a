"""Several archivers, servers that are away or slow: what waits is written all the same, and holds up nothing else."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Sequence
from typing import Any, cast

import pytest

import router.archiver
import router.turn
from router.archive_batch import Event
from router.archive_counts import ArchiveCounts
from router.archive_store import ArchiveStore, Written
from router.archiver import Archiver
from shared.database import Database
from shared.errors import DatabaseUnavailable, RedisUnavailable
from shared.keys import SHARED_TAG, TAGS, Keys
from shared.redis_link import RedisLink
from shared.scripts import TAKE_OFF, Scripts
from tests.inbox.archive import EVERYBODY, Counting, archiving, waiting
from tests.inbox.shelf import locked, rows
from tests.shared.press import Item, Press
from tests.support.ports import LOOPBACK, free_port
from tests.support.postgres import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.waiting import until, until_equal


class CutOff:
    """A link that does not reach the server of one hash tag, and reaches all others; or one command, of all tags."""

    def __init__(self, link: RedisLink, cut_off: str) -> None:
        self._link, self.cut_off = link, cut_off

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def send(self, *args: Any) -> Any:
        if any(self.cut_off in str(arg) for arg in args):
            return self._cut_off(args)
        return self._link.send(*args)

    def _cut_off(self, args: Any) -> Any:
        unreachable = asyncio.get_running_loop().create_future()
        unreachable.set_exception(RedisUnavailable("no connection"))
        return unreachable


class Mute(CutOff):
    """A link by which such commands are carried out, and never answered."""

    def _cut_off(self, args: Any) -> Any:
        self._link.send(*args)
        return asyncio.get_running_loop().create_future()


async def test_a_tag_whose_server_is_away_keeps_no_other_one_waiting(
    database: Database, link: RedisLink, keys: Keys, press: Press, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG, logger="router.archiver")
    for name in ("all", "bob"):
        await press.event(name)
    async with archiving(cast(RedisLink, CutOff(link, f"{{{SHARED_TAG}}}")), keys, database) as counts:
        await until_equal(lambda: counts.archived, 1)
    assert len(await rows(database, "user:bob")) == 1
    assert {record.tag for record in caplog.records if hasattr(record, "tag")} == {SHARED_TAG}
    async with archiving(link, keys, database) as counts:
        await until_equal(lambda: counts.archived, 1)
    assert len(await rows(database, "all")) == 1


async def test_a_tag_whose_server_hangs_keeps_no_other_one_waiting_for_long(
    database: Database, link: RedisLink, keys: Keys, press: Press
):
    for name in EVERYBODY:
        await press.event(name)
    stay = await link.send("XLEN", keys.archive(SHARED_TAG))
    async with archiving(cast(RedisLink, Mute(link, f"{{{SHARED_TAG}}}")), keys, database) as counts:
        await until_equal(lambda: counts.archived, len(EVERYBODY) - stay)


class Slow(ArchiveStore):
    """A store whose database never has the events of one tag written in time."""

    def __init__(self, database: Database, tag: str) -> None:
        super().__init__(database)
        self._tag = tag

    async def write(self, events: Sequence[Event]) -> Written:
        if any(event.tag == self._tag for event in events):
            raise DatabaseUnavailable("no answer in time")
        return await super().write(events)


@pytest.mark.parametrize("slow", [TAGS[0], TAGS[-1]])
async def test_a_tag_that_the_database_takes_too_long_over_keeps_no_other_one_waiting(
    database: Database, link: RedisLink, keys: Keys, press: Press, slow: str
):
    for name in EVERYBODY:
        await press.event(name)
    stay = await link.send("XLEN", keys.archive(slow))
    async with archiving(link, keys, database, Slow(database, slow)) as counts:
        await until_equal(lambda: counts.archived, len(EVERYBODY) - stay)
        assert counts.away
    assert await waiting(link, keys) == stay > 0


class Relapsing(ArchiveStore):
    """A store that notes which turns are held as a batch begins, and takes so long that all of them run out."""

    def __init__(self, database: Database, link: RedisLink, keys: Keys) -> None:
        super().__init__(database)
        self._link, self._turns = link, [keys.archive_turn(tag) for tag in TAGS]
        self.held: list[int] = []

    async def write(self, events: Sequence[Event]) -> Written:
        self.held.append(await self._link.send("EXISTS", *self._turns))
        await self._link.send("DEL", *self._turns)
        return await super().write(events)


async def test_turns_are_kept_while_a_round_has_batches_left(
    database: Database, link: RedisLink, keys: Keys, press: Press, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(router.archiver, "_TURNS", 0.0)
    monkeypatch.setattr(router.archiver, "_BATCH_EVENTS", 1)
    for name in EVERYBODY:
        await press.event(name)
    store = Relapsing(database, link, keys)
    async with archiving(link, keys, database, store) as counts:
        await until_equal(lambda: counts.archived, len(EVERYBODY))
    assert store.held == [len(TAGS)] * len(TAGS)


async def test_what_cannot_be_taken_off_is_not_written_again_at_full_speed(
    database: Database, link: RedisLink, keys: Keys, press: Press
):
    await press(*(Item(audience="all") for _ in range(600)))
    store = Counting(database)
    async with archiving(cast(RedisLink, CutOff(link, TAKE_OFF.sha.decode())), keys, database, store):
        await until(lambda: len(store.times) > 2)
    assert store.times[2] - store.times[0] > router.archiver._INTERVAL


async def test_a_redis_that_is_full_is_emptied(
    database: Database, own_redis: RedisServer, scripts: Scripts, keys: Keys
):
    async with RedisLink(own_redis.url, name="test", prepare=scripts.prepare) as link:
        await link.wait_connected()
        press = Press(link, scripts, keys, archive_max_bytes=10_000_000)
        for name in EVERYBODY:
            await press.event(name)
        await link.send("CONFIG", "SET", "maxmemory", 1)
        async with archiving(link, keys, database) as counts:
            await until_equal(lambda: counts.archived, len(EVERYBODY))
            await until_equal(lambda: waiting(link, keys), 0)
    assert counts.given_up == 0


class Far(CutOff):
    """A link whose answers take a while, however many are under way."""

    def send(self, *args: Any) -> Any:
        return asyncio.ensure_future(self._later(self._link.send(*args)))

    async def _later(self, answer: asyncio.Future[Any]) -> Any:
        await asyncio.wait((answer,))
        await asyncio.sleep(0.01)
        return answer.result()


async def test_many_that_nobody_can_read_are_set_aside_once(database: Database, link: RedisLink, keys: Keys):
    key, count = keys.archive(SHARED_TAG), 300  # one after the other they would take three seconds
    typeless = (b'1 e 9 all 5-%d 7 - - -\n{"typo":1' % n for n in range(count))
    await link.send("XADD", key, f"1-{count}", "e", b"".join(typeless))
    async with archiving(cast(RedisLink, Far(link, "")), keys, database) as counts:
        await until_equal(lambda: waiting(link, keys), 0)
    assert await link.send("XLEN", keys.archive_dead(SHARED_TAG)) == counts.set_aside == count


# --- several routers


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


async def test_a_router_may_leave_at_any_moment(database: Database, link: RedisLink, keys: Keys):
    for steps in range(40):
        archiver = Archiver(link, Scripts(keys), keys, ArchiveStore(database), ArchiveCounts())
        work = asyncio.create_task(archiver.run())
        for _ in range(steps):
            await asyncio.sleep(0)
        work.cancel()
        await asyncio.wait((work,))
        assert work.cancelled()
    gc.collect()  # what was begun and not awaited fails the test


async def test_a_router_that_leaves_while_it_takes_its_turns_gives_them_back(
    database: Database, link: RedisLink, keys: Keys
):
    turns = [keys.archive_turn(tag) for tag in TAGS]
    async with archiving(cast(RedisLink, Mute(link, "NX")), keys, database):
        await until_equal(lambda: link.send("EXISTS", *turns), len(turns))
    assert await link.send("EXISTS", *turns) == 0


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


async def test_a_database_that_is_back_is_not_away_for_what_redis_cannot_be_asked_for(
    database_url: str, link: RedisLink, keys: Keys, press: Press
):
    half = CutOff(link, "nothing")
    async with (
        Database(database_url, name="tests", timeout=1) as database,
        archiving(cast(RedisLink, half), keys, database) as counts,
    ):
        async with locked(database_url):
            for name in EVERYBODY:
                await press.event(name)
            await until(lambda: counts.away)
            half.cut_off = f"{{{SHARED_TAG}}}"
        await until(lambda: counts.archived > 0)
        await until_equal(lambda: counts.away, False)
