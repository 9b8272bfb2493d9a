"""``publish.lua``: the newest value of each video, and the end of its transcode."""

from __future__ import annotations

from shared.ids import user_stream
from shared.keys import Keys, bucket
from shared.redis_link import RedisLink
from shared.states import State, parse_record
from tests.shared.ear import SECOND, Ear, now_us
from tests.shared.press import Item, Press, Result


def numbers(results: list[Result]) -> list[int]:
    return [int(result.position.split("-")[1]) for result in results]


def progress(percent: int, stamp: int, *, mark: str = "a", video: str = "1", ttl_ms: int = 60_000) -> Item:
    return Item(f'{{"progress":{percent}', kind="s", video=video, state=f"{stamp} {mark} {ttl_ms}", owner="7")


def end(stamp: int, video: str = "1", ttl_ms: int = 60_000) -> Item:
    return Item('{"type":"transcode_complete"', video=video, state=f"{stamp} f {ttl_ms}", owner="7")


async def state_of(press: Press, video: str = "1") -> State | None:
    record = await press.link.send("HGET", press.keys.all_states.table, video)
    return None if record is None else parse_record(video, record)


async def shown(press: Press) -> bytes:
    state = await state_of(press)
    assert state is not None
    return state.payload


async def test_a_state_has_no_place_in_history_and_goes_to_the_channel_for_states(
    press: Press, keys: Keys, ear: Ear
) -> None:
    await ear.listen(keys.admin_channel, keys.progress_channel)
    (result,) = await press(progress(45, 1000))
    assert (result.status, result.position) == ("new", "-")
    assert await press.history() == []
    ((channel, (message,)),) = await ear.heard()
    assert channel == keys.progress_channel
    assert (message.kind, message.payload) == (b"s", b'{"progress":45')
    state = await state_of(press)
    assert state is not None
    assert message.state == f"1@{state.revision}".encode()
    assert (state.owner, state.final, state.payload) == ("7", False, b'{"progress":45')


async def test_the_newest_stamp_wins_whatever_the_order(press: Press, ear: Ear, keys: Keys) -> None:
    await ear.listen(keys.progress_channel)
    results = [
        (await press(progress(percent, stamp)))[0] for percent, stamp in ((10, 10), (30, 30), (20, 20), (40, 40))
    ]
    assert [result.status for result in results] == ["new", "new", "older", "new"]
    assert await shown(press) == b'{"progress":40'
    assert [message.payload for message in await ear.envelopes()] == [
        b'{"progress":10',
        b'{"progress":30',
        b'{"progress":40',
    ]


async def test_the_same_state_twice_is_one(press: Press) -> None:
    await press(progress(10, 10))
    (again,) = await press(progress(10, 10))
    assert again.status == "older"


async def test_revisions_rise_with_every_change_and_say_what_changed_since(
    press: Press, link: RedisLink, keys: Keys
) -> None:
    await press(progress(10, 10, video="1"), progress(10, 10, video="2"))
    await press(progress(20, 20, video="1"))
    changed = await link.send("ZRANGEBYSCORE", keys.all_states.revisions, "(2", "+inf")
    assert changed == [b"1"]
    one, two = await state_of(press, "1"), await state_of(press, "2")
    assert one is not None
    assert two is not None
    assert (one.revision.n, two.revision.n) == (3, 2)


async def test_the_end_is_an_event_that_leaves_a_tombstone_late_progress_cannot_lift(
    press: Press, keys: Keys, ear: Ear
) -> None:
    await press(progress(50, 50))
    await ear.listen(keys.admin_channel, keys.progress_channel)
    ended, late = await press(end(100), progress(99, 90))
    assert (ended.status, late.status) == ("new", "older")
    state = await state_of(press)
    assert state is not None
    assert state.final
    (message,) = await ear.envelopes()
    assert (message.kind, message.state) == (b"e", f"1@{state.revision}".encode())


async def test_a_newer_start_lifts_the_tombstone(press: Press) -> None:
    await press(end(100))
    (restarted,) = await press(progress(0, 101))
    assert restarted.status == "new"
    assert await shown(press) == b'{"progress":0'


async def test_an_event_whose_state_is_older_is_still_an_event(press: Press, keys: Keys, ear: Ear) -> None:
    await press(progress(10, 200))
    await ear.listen(keys.admin_channel)
    (result,) = await press(end(100))
    assert (result.status, numbers([result])) == ("new", [1])
    (message,) = await ear.envelopes()
    assert message.state == b"-"
    assert await shown(press) == b'{"progress":10'


async def test_progress_without_the_producers_time_soon_after_the_end_is_a_straggler(
    press: Press, link: RedisLink
) -> None:
    stamp = await now_us(link) - 60 * SECOND
    await press(end(stamp))
    (straggler,) = await press(progress(99, stamp + 9 * SECOND, mark="l"))
    (restart,) = await press(progress(1, stamp + 11 * SECOND, mark="l"))
    assert (straggler.status, restart.status) == ("older", "new")


async def test_a_start_without_the_producers_time_soon_after_the_end_is_a_start(press: Press, link: RedisLink) -> None:
    stamp = await now_us(link) - 60 * SECOND
    await press(end(stamp))
    (restart,) = await press(progress(0, stamp + 1, mark="a"))
    assert restart.status == "new"


async def test_a_producer_whose_clock_runs_ahead_does_not_silence_the_others(press: Press, link: RedisLink) -> None:
    await press(progress(10, await now_us(link) + 3600 * SECOND))
    (result,) = await press(progress(20, await now_us(link)))
    assert result.status == "new"
    assert await shown(press) == b'{"progress":20'


async def test_a_clock_that_runs_ahead_keeps_its_producers_order_within_one_call(press: Press, link: RedisLink) -> None:
    ahead = await now_us(link) + 60 * SECOND
    await press(progress(10, ahead), progress(20, ahead + 1))
    assert await shown(press) == b'{"progress":20'


async def test_a_clock_that_runs_ahead_ends_what_it_began_within_one_call(press: Press, link: RedisLink) -> None:
    ahead = await now_us(link) + 60 * SECOND
    await press(progress(99, ahead), end(ahead + 1))
    state = await state_of(press)
    assert state is not None
    assert state.final


async def test_a_state_without_news_ages_out_and_then_anything_is_newer(press: Press, link: RedisLink) -> None:
    await press(progress(50, 500, ttl_ms=1))
    await until_passed(link, (await state_of(press)).expires_ms)  # type: ignore[union-attr]
    (result,) = await press(progress(1, 1))
    assert result.status == "new"


async def test_aged_out_states_are_swept_with_later_ones(press: Press, link: RedisLink, keys: Keys) -> None:
    await press(*(progress(1, 1, video=str(video), ttl_ms=1) for video in range(1, 6)))
    await until_passed(link, (await state_of(press, "5")).expires_ms)  # type: ignore[union-attr]
    await press(progress(1, 1, video="9"))
    assert await link.send("HKEYS", keys.all_states.table) == [b"9"]
    assert await link.send("ZRANGE", keys.all_states.revisions, 0, -1) == [b"9"]
    assert await link.send("ZRANGE", keys.all_states.expiries, 0, -1) == [b"9"]


async def until_passed(link: RedisLink, ms: int) -> None:
    while await now_us(link) // 1000 <= ms:
        pass


async def test_an_owners_state_goes_to_the_owners_nodes_and_table(
    press: Press, link: RedisLink, keys: Keys, ear: Ear
) -> None:
    await link.send("HSET", keys.users(bucket("7")), "7", "1 n1=1")
    await ear.listen(keys.node_channel("n1"))
    (result,) = await press(Item('{"progress":5', "7", "s", video="1", state="5 a 60000", owner="7"))
    assert (result.status, result.online, result.places) == ("new", True, "1 n1=1")
    (message,) = await ear.envelopes()
    assert (message.kind, message.stream) == (b"s", user_stream("7").encode())
    assert await link.send("HKEYS", keys.user_states("7").table) == [b"1"]
    assert await link.send("EXISTS", keys.all_states.table) == 0


async def test_a_repeated_end_of_a_transcode_still_names_what_it_ends(press: Press, keys: Keys, ear: Ear) -> None:
    """A node may have missed the first call's publish: the event alone would leave the video active there."""
    await ear.listen(keys.admin_channel)
    end = Item(video="7", state="6 f 60000", operation="op", owner="7")
    await press(end)
    await press(end)
    first, again = [message.state for message in await ear.envelopes()]
    assert first == again != b"-"


async def test_a_repeated_state_with_its_key_is_answered_and_not_applied_again(press: Press) -> None:
    item = Item('{"progress":5', kind="s", operation="op", video="1", state="5 a 60000")
    (first,) = await press(item)
    (again,) = await press(item)
    assert (first.status, again.status, again.position) == ("new", "again", "-")
