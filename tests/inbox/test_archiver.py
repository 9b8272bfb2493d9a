"""From Redis to the database: all of it, in order, once."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import pytest

from shared.database import Database
from shared.ids import Position
from shared.keys import SHARED_TAG, TAGS, Keys
from shared.redis_link import RedisLink
from tests.inbox.archive import EVERYBODY, Counting, archiving, waiting
from tests.inbox.shelf import rows
from tests.shared.press import Item, Press
from tests.support.waiting import until_equal


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


async def test_what_waits_in_several_tags_is_written_in_one_transaction(
    database: Database, link: RedisLink, keys: Keys, press: Press
):
    for name in EVERYBODY:
        await press.event(name)
    assert all(await asyncio.gather(*(link.send("XLEN", keys.archive(tag)) for tag in TAGS))), "each has some"
    store = Counting(database)
    async with archiving(link, keys, database, store) as counts:
        await until_equal(lambda: counts.archived, len(EVERYBODY))
    assert store.sizes == [len(EVERYBODY)]


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

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

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
