"""Reading the streams back, on a real server."""

from __future__ import annotations

import pytest

from node.history import PAGE, Entry, History
from shared.ids import BEGINNING, Position
from shared.keys import SHARED_TAG, Keys
from shared.redis_link import RedisLink
from shared.scripts import Scripts
from shared.states import parse_record
from tests.shared.press import TRACE, Item, Press


@pytest.fixture
async def press(link: RedisLink, scripts: Scripts, keys: Keys) -> Press:
    press = Press(link, scripts, keys)
    await press.event("all")  # the tag is born with its first event
    return press


@pytest.fixture
def history(link: RedisLink, keys: Keys) -> History:
    return History(link, keys)


async def test_events_come_back_as_they_were_published(press: Press, history: History) -> None:
    first, second = await press(Item('{"type":"你好"'), Item('{"type":"x"', expires_at="1769860800000"))
    page = await history.read(SHARED_TAG, "admin", Position(0, 0))
    assert page.entries == [
        Entry(Position.parse(first.position), '{"type":"你好"'.encode(), None),
        Entry(Position.parse(second.position), b'{"type":"x"', 1769860800000),
    ]
    assert page.top == Position.parse(second.position)
    assert (await history.read(SHARED_TAG, "admin", page.top)).entries == []


async def test_only_a_sampled_event_keeps_its_trace(press: Press, history: History) -> None:
    await press.event()
    press.trace = f"{TRACE[:-2]}01"
    await press.event()
    page = await history.read(SHARED_TAG, "admin", Position(0, 0))
    assert [entry.trace for entry in page.entries] == [None, f"{TRACE[:-2]}01".encode()]


async def test_a_page_is_bounded_and_the_next_goes_on_where_it_ended(press: Press, history: History) -> None:
    await press(*[Item()] * (PAGE + 10))
    first = await history.read(SHARED_TAG, "admin", Position(0, 0))
    second = await history.read(SHARED_TAG, "admin", first.entries[-1].position)
    assert [entry.position.n for entry in first.entries + second.entries] == list(range(1, PAGE + 11))
    assert len(first.entries) == PAGE


async def test_a_stream_without_events_stands_at_its_epochs_beginning(
    press: Press, history: History, link: RedisLink, keys: Keys
) -> None:
    epoch = int(await link.send("HGET", keys.seq(SHARED_TAG), "#epoch"))
    page = await history.read(SHARED_TAG, "admin", Position(epoch, 0))
    assert (page.top, page.entries) == (Position(epoch, 0), [])
    event = await press.event("all")
    tops = await history.tops(SHARED_TAG, ["admin", "all"])
    assert [top for top, _ in tops] == [Position(epoch, 0), Position.parse(event.position)]


async def test_the_newest_revision_of_a_streams_states_comes_with_its_top(
    press: Press, history: History, link: RedisLink, keys: Keys
) -> None:
    await press(Item(kind="s", video="1", state="5 a 60000"), Item(kind="s", video="2", state="5 a 60000"))
    ((_, revision), (_, none)) = await history.tops(SHARED_TAG, ["admin", "all"])
    record = await link.send("HGET", keys.all_states.table, "2")
    assert revision == parse_record("2", record).revision
    assert none == BEGINNING


async def test_the_first_event_of_an_epoch_names_the_one_before_it(
    press: Press, history: History, link: RedisLink, keys: Keys
) -> None:
    first = Position.parse((await press.event()).position)
    await link.send("HINCRBY", keys.seq(SHARED_TAG), "#epoch", 1)
    await press.event()
    await press.event()
    second, third = (await history.read(SHARED_TAG, "admin", first)).entries
    assert (second.previous, third.previous) == (first, None)
    assert second.follows(first)
    assert not second.follows(Position(first.epoch - 1, first.n))


async def test_the_end_of_a_transcode_names_the_state_that_it_ends(press: Press, history: History) -> None:
    await press(
        Item(kind="s", video="7", state="5 a 60000"),
        Item(video="7", state="6 f 60000"),
        Item(),
        Item(video="7", state="4 f 60000"),  # late: a newer state stands, and this ends nothing
    )
    page = await history.read(SHARED_TAG, "admin", Position(0, 0))
    ((_, revision),) = await history.tops(SHARED_TAG, ["admin"])
    assert [entry.ends for entry in page.entries] == [(7, revision), None, None]


async def test_a_position_is_good_while_everything_after_it_is_there(
    press: Press, history: History, link: RedisLink, keys: Keys
) -> None:
    epoch = int(await link.send("HGET", keys.seq(SHARED_TAG), "#epoch"))

    async def good(*positions: Position) -> list[bool]:
        return [await history.is_good(SHARED_TAG, "admin", position) for position in positions]

    birth = Position(epoch, 0)
    assert await good(birth, Position(epoch, 1), Position(epoch + 1, 0), Position(epoch - 1, 0)) == [
        True,
        False,
        False,
        False,
    ]
    one, two, three = [Position.parse((await press.event()).position) for _ in range(3)]
    assert await good(birth, one, two, three) == [True] * 4
    assert await good(Position(epoch, 4), Position(epoch + 1, 3), Position(epoch - 1, 2)) == [False] * 3
    await link.send("XTRIM", keys.stream(SHARED_TAG, "admin"), "MAXLEN", "=", 1)
    assert await good(birth, one, two, three) == [False, False, False, True]
    await link.send("DEL", keys.stream(SHARED_TAG, "admin"))
    assert await good(birth, two, three) == [False, False, True]


async def test_the_birth_of_a_stream_is_good_across_epochs_as_long_as_its_first_event_is_there(
    press: Press, history: History, link: RedisLink, keys: Keys
) -> None:
    birth = int(await link.send("HGET", keys.seq(SHARED_TAG), "#epoch"))
    await link.send("HSET", keys.seq(SHARED_TAG), "#epoch", birth + 5)
    await press.event()
    assert await history.is_good(SHARED_TAG, "admin", Position(birth, 0))
    assert await history.is_good(SHARED_TAG, "admin", Position(birth + 5, 0))
    assert not await history.is_good(SHARED_TAG, "admin", Position(birth + 6, 0))


async def test_a_poll_goes_on_exactly_where_a_socket_would(
    press: Press, history: History, link: RedisLink, keys: Keys
) -> None:
    """One read decides what ``is_good`` decides with three, at every place of a stream: none, there, trimmed, ahead."""
    key = keys.stream(SHARED_TAG, "admin")
    epoch = int(await link.send("HGET", keys.seq(SHARED_TAG), "#epoch"))

    async def agree() -> list[bool]:
        head = await history.head(SHARED_TAG, "admin")
        assert head.epoch == epoch
        verdicts = []
        for since in (Position(e, n) for e in (0, epoch - 1, epoch, epoch + 1) for n in range(8)):
            page = await history.resume(SHARED_TAG, "admin", since, head, 100)
            verdicts.append(await history.is_good(SHARED_TAG, "admin", since))
            assert (page is not None) == verdicts[-1], since
            if page is not None:
                after = await history.read(SHARED_TAG, "admin", since)
                assert page == after.entries
        return verdicts

    seen = [await agree()]
    await press(*[Item()] * 5)
    seen.append(await agree())
    first, second, *_ = (await history.read(SHARED_TAG, "admin", BEGINNING)).entries
    await link.send("XDEL", key, str(first.position), str(second.position))
    seen.append(await agree())
    await link.send("DEL", key)
    seen.append(await agree())
    assert [verdicts.count(True) for verdicts in seen] == [1, 6, 3, 1]


async def test_a_page_of_a_poll_is_bounded(press: Press, history: History) -> None:
    await press(*[Item()] * 5)
    head = await history.head(SHARED_TAG, "admin")
    beginning = Position(head.epoch, 0)
    page = await history.resume(SHARED_TAG, "admin", beginning, head, 2)
    assert page is not None
    assert [entry.position.n for entry in page] == [1, 2]
    page = await history.resume(SHARED_TAG, "admin", page[-1].position, head, 2)
    assert page is not None
    assert [entry.position.n for entry in page] == [3, 4]
