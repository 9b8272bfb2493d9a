"""``publish.lua``: repeated operations, and calls that were cut off."""

from __future__ import annotations

import pytest

from shared.errors import RedisRefused
from shared.ids import user_stream
from shared.keys import SHARED_TAG, Keys, bucket
from shared.redis_link import RedisLink
from tests.shared.ear import Ear
from tests.shared.press import Item, Press, Result


def numbers(results: list[Result]) -> list[int]:
    return [int(result.position.split("-")[1]) for result in results]


async def test_a_repeated_operation_gets_the_first_answer_and_appends_nothing(
    press: Press, link: RedisLink, keys: Keys
) -> None:
    await link.send("HSET", keys.users(bucket("7")), "7", "1 n1=1")
    (first,) = await press(Item(audience="7", operation="op"))
    await link.send("HDEL", keys.users(bucket("7")), "7")
    (again,) = await press(Item(audience="7", operation="op"))
    assert (first.status, again.status) == ("new", "again")
    assert (again.position, again.online, again.places) == (first.position, first.online, first.places)
    assert len(await press.history("7")) == 1


async def test_a_repeated_operation_is_published_again_as_it_was(press: Press, keys: Keys, ear: Ear) -> None:
    """The first call may have died before anybody heard it; receivers drop what they have."""
    await ear.listen(keys.admin_channel)
    item = Item('{"type":"first"', operation="op")
    await press(item)
    await press.event()
    await press(item)
    first, _, again = await ear.envelopes()
    assert (again.position, again.payload, again.stream) == (first.position, first.payload, first.stream)


async def test_a_repeated_operation_with_another_body_is_a_conflict_that_harms_no_other(
    press: Press, ear: Ear, keys: Keys
) -> None:
    await press(Item(operation="op", digest="one"))
    await ear.listen(keys.admin_channel)
    conflict, other = await press(Item(operation="op", digest="two"), Item('{"type":"other"'))
    assert (conflict.status, conflict.position) == ("conflict", "-")
    assert (other.status, numbers([other])) == ("new", [2])
    assert [message.payload for message in await ear.envelopes()] == [b'{"type":"other"']


async def test_the_same_operation_twice_in_one_call_is_done_once(press: Press) -> None:
    first, again = await press(Item(operation="op"), Item(operation="op"))
    assert (first.status, again.status, again.position) == ("new", "again", first.position)


async def test_a_repetition_does_what_the_first_call_left_undone(press: Press) -> None:
    first, third = await press(Item("1", operation="op", name="a"), Item("3", operation="op", name="c"))
    again = await press(*(Item(f"{n}", operation="op", name=name) for n, name in ((1, "a"), (2, "b"), (3, "c"))))
    assert [result.status for result in again] == ["again", "new", "again"]
    assert [result.position for result in (again[0], again[2])] == [first.position, third.position]
    assert [result.status for result in await press(Item("2", operation="op", name="b"))] == ["again"]
    assert [fields[b"m"] for _, fields in await press.history()] == [b"1", b"3", b"2"]


async def test_messages_of_several_operations_keep_their_order(press: Press) -> None:
    items = [Item(f"{n}", operation=f"op{n % 2}", name=f"{n}") for n in range(6)]
    assert numbers(await press(*items)) == [1, 2, 3, 4, 5, 6]
    assert [fields[b"m"] for _, fields in await press.history()] == [b"%d" % n for n in range(6)]
    assert {result.status for result in await press(*items)} == {"again"}


async def test_what_stops_a_message_leaves_those_before_it_whole(
    press: Press, link: RedisLink, keys: Keys, ear: Ear
) -> None:
    users = [str(n) for n in range(1000) if bucket(str(n)) == "3"][:2]
    await link.send("HSET", keys.users("3"), users[0], "1 n1=1")
    await link.send("SET", keys.stream("3", user_stream(users[1])), "in the way")
    await ear.listen(keys.node_channel("n1"))
    items = [Item("1", users[0], operation="op"), Item("2", users[1], operation="op", name="1")]
    with pytest.raises(RedisRefused, match="WRONGTYPE"):
        await press(*items)
    assert [message.payload for message in await ear.envelopes()] == [b"1"]
    await link.send("DEL", keys.stream("3", user_stream(users[1])))
    assert [result.status for result in await press(*items)] == ["again", "new"]
    assert numbers([await press.event(users[0])]) == [2]


async def test_what_stops_a_message_after_it_was_kept_does_not_stop_its_stream_for_good(press: Press) -> None:
    press.history_ttl_ms = 2**63 - 1  # no time that Redis could add to now
    with pytest.raises(RedisRefused):
        await press(Item("1"))
    press.history_ttl_ms = 60_000
    assert numbers([await press.event()]) == [2]


async def test_a_repeated_operation_whose_event_left_the_history_still_gets_its_answer(
    press: Press, link: RedisLink, keys: Keys
) -> None:
    (first,) = await press(Item(operation="op"))
    await link.send("DEL", keys.stream(SHARED_TAG, "admin"))
    (again,) = await press(Item(operation="op"))
    assert (again.status, again.position) == ("again", first.position)


async def test_an_operation_is_remembered_as_long_as_it_was_asked_for(
    press: Press, link: RedisLink, keys: Keys
) -> None:
    await press(Item(operation="op"))
    assert 59_000 < await link.send("PTTL", keys.operation(SHARED_TAG, "op")) <= 60_000


async def test_a_key_that_was_just_made_is_remembered_and_not_looked_up(press: Press) -> None:
    (first,) = await press(Item(operation="op", fresh=True))
    (again,) = await press(Item(operation="op"))
    assert (first.status, again.status, again.position) == ("new", "again", first.position)


async def test_without_an_operation_key_nothing_is_remembered(press: Press, link: RedisLink, keys: Keys) -> None:
    first, second = await press(Item(), Item())
    assert first.position != second.position
    assert await link.send("KEYS", f"{keys.prefix}:op:*") == []
