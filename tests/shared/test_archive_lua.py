"""What the publish script leaves for the inbox's database."""

from __future__ import annotations

import pytest

from shared import envelope
from shared.keys import SHARED_TAG, Keys
from shared.redis_link import RedisLink
from shared.scripts import Scripts
from tests.shared.press import TRACE, Item, Press

ENOUGH = 10_000_000


@pytest.fixture
def press(link: RedisLink, scripts: Scripts, keys: Keys) -> Press:
    return Press(link, scripts, keys, archive_max_bytes=ENOUGH)


def events(text: bytes) -> list[tuple[str, str, str]]:
    return [(e.stream.decode(), e.position.decode(), e.payload.decode()) for e in envelope.read(text)]


async def test_all_events_of_a_call_are_one_entry_in_their_order(press: Press):
    results = await press(Item('{"type":"a"', "admin"), Item('{"type":"b"', "all"), Item('{"type":"c"', "admin"))
    ((entry, text),) = await press.archive()
    assert events(text) == [
        ("admin", results[0].position, '{"type":"a"'),
        ("all", results[1].position, '{"type":"b"'),
        ("admin", results[2].position, '{"type":"c"'),
    ]
    assert entry == f"{len(text) + 64}-3"


async def test_an_entry_bears_what_the_bus_bears(press: Press):
    await press(Item(expires_at="1795475748123"))
    ((_, text),) = await press.archive()
    (said,) = envelope.read(text)
    assert (said.published_at, said.traceparent, said.expires_at) == (b"1000", TRACE.encode(), b"1795475748123")


async def test_states_are_not_archived_and_the_ends_of_transcodes_are(press: Press):
    await press(Item('{"type":"p"', kind="s", video="9", state="1000 a 60000"))
    assert await press.archive() == []
    await press(Item('{"type":"c"', video="9", state="2000 f 60000"))
    ((_, text),) = await press.archive()
    assert [payload for _, _, payload in events(text)] == ['{"type":"c"']


async def test_what_was_done_before_is_not_archived_again(press: Press):
    await press(Item(operation="op"))
    (again,) = await press(Item(operation="op"))
    assert again.status == "again"
    assert len(await press.archive()) == 1


async def test_every_tag_has_an_archive_of_its_own(press: Press):
    await press.event("7")
    assert await press.archive(SHARED_TAG) == []


async def test_without_an_inbox_nothing_is_archived(press: Press, link: RedisLink, keys: Keys):
    press.archive_max_bytes = 0
    await press.event()
    assert await press.archive() == []
    assert await link.send("HEXISTS", keys.seq(SHARED_TAG), "#archive") == 0


async def test_beyond_its_bound_the_oldest_are_given_up_and_the_ids_tell_how_many(press: Press):
    press.archive_max_bytes = 40_000
    payload = '{"type":"x","text":"' + "x" * 1000 + '"'
    for _ in range(300):
        await press.event(payload=payload)
    kept = await press.archive()
    size = len(kept[0][1]) + 64
    # The script trims when another 64 KiB have come, and Redis whole blocks of 4 KiB.
    assert 40_000 // size <= len(kept) <= (40_000 + 65_536) // size + 6
    assert kept[-1][0].endswith("-300")
    assert kept[0][0].endswith(f"-{300 - len(kept) + 1}")


async def test_ids_go_on_where_entries_have_been_taken_out(press: Press, link: RedisLink, keys: Keys):
    await press.event()
    ((first, text),) = await press.archive()
    await link.send("XTRIM", keys.archive(SHARED_TAG), "MAXLEN", 0)
    await press.event()
    ((second, _),) = await press.archive()
    assert (first, second) == (f"{len(text) + 64}-1", f"{2 * (len(text) + 64)}-2")


async def test_an_archive_whose_counter_was_lost_goes_on(press: Press, link: RedisLink, keys: Keys):
    await press(Item(), Item())
    await link.send("HDEL", keys.seq(SHARED_TAG), "#archive")
    await press.event()
    (first, _), (second, _) = await press.archive()
    assert (first.partition("-")[2], second.partition("-")[2]) == ("2", "3")
    assert await link.send("HGET", keys.seq(SHARED_TAG), "#archive") == second.encode()


async def test_one_that_is_empty_besides_goes_on_too(press: Press, link: RedisLink, keys: Keys):
    """All was archived, and then the counter was lost: what comes must not be refused for its id."""
    await press(Item(), Item())
    await link.send("XTRIM", keys.archive(SHARED_TAG), "MAXLEN", 0)
    await link.send("HDEL", keys.seq(SHARED_TAG), "#archive")
    await press.event()
    ((entry, _),) = await press.archive()
    assert entry.partition("-")[2] == "3"


async def test_an_archive_that_is_none_does_not_stop_a_publish(press: Press, link: RedisLink, keys: Keys):
    await link.send("SET", keys.archive(SHARED_TAG), "somebody's")
    assert (await press.event()).status == "new"
    assert len(await press.history()) == 1
