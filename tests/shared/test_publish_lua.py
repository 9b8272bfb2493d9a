"""``publish.lua``: order, history, idempotency, states and delivery in one step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared import envelope
from shared.envelope import Envelope
from shared.errors import RedisRefused
from shared.ids import user_stream
from shared.keys import SHARED_TAG, Keys, bucket
from shared.redis_link import RedisLink
from shared.scripts import Scripts
from shared.states import State, parse_record
from tests.shared.press import TRACE, Item, Press, Result
from tests.shared.redis_server import RedisServer, until

SECOND = 1_000_000


@pytest.fixture
def press(link: RedisLink, scripts: Scripts, keys: Keys) -> Press:
    return Press(link, scripts, keys)


class Ear:
    """Hears channels, as a node does."""

    def __init__(self, link: RedisLink, commands: RedisLink, publishes: list[tuple[str, bytes]]) -> None:
        self._link, self._commands, self._publishes = link, commands, publishes
        self._confirmed = 0

    async def listen(self, *channels: str) -> None:
        for channel in channels:
            self._link.tell("SUBSCRIBE", channel)
        await self._link.send("PING")

    async def heard(self) -> list[tuple[str, list[Envelope]]]:
        """Return every publish so far: its channel, its envelopes."""
        await self._commands.send("PUBLISH", "end", "end")
        await until(lambda: ("end", b"end") in self._publishes)
        messages = [publish for publish in self._publishes if publish[0] != "end"]
        self._publishes.clear()
        return [(channel, list(envelope.read(data))) for channel, data in messages]

    async def envelopes(self) -> list[Envelope]:
        return [message for _, messages in await self.heard() for message in messages]


@pytest.fixture
async def ear(redis_server: RedisServer, link: RedisLink) -> AsyncIterator[Ear]:
    publishes: list[tuple[str, bytes]] = []

    def take(push: list[Any]) -> None:
        if push[0] == b"message":
            publishes.append((push[1].decode(), push[2]))

    async with RedisLink(redis_server.url, name="ear", on_push=take) as own:
        assert await own.wait_connected(5)
        ear = Ear(own, link, publishes)
        await ear.listen("end")
        yield ear


async def now_us(link: RedisLink) -> int:
    seconds, micros = await link.send("TIME")
    return int(seconds) * SECOND + int(micros)


def numbers(results: list[Result]) -> list[int]:
    return [int(result.position.split("-")[1]) for result in results]


# --- ids and history


@pytest.mark.parametrize("audience", ["admin", "all", "7"])
async def test_ids_are_gap_free_from_one_on(press: Press, audience: str) -> None:
    results = [await press.event(audience) for _ in range(5)] + await press(*[Item(audience=audience)] * 5)
    assert numbers(results) == list(range(1, 11))
    assert {result.status for result in results} == {"new"}
    assert [position for position, _ in await press.history(audience)] == [result.position for result in results]


async def test_every_audience_counts_for_itself(press: Press) -> None:
    results = await press(Item(audience="admin"), Item(audience="all"), Item(audience="admin"))
    assert numbers(results) == [1, 1, 2]


async def test_numbers_go_on_when_the_epoch_rises(press: Press, link: RedisLink, keys: Keys) -> None:
    first = await press.event()
    await link.send("HINCRBY", keys.seq(SHARED_TAG), "#epoch", 5)
    second = await press.event()
    epoch = int(first.position.split("-")[0])
    assert (first.position, second.position) == (f"{epoch}-1", f"{epoch + 5}-2")


async def test_numbers_go_on_when_the_history_has_expired(press: Press, link: RedisLink, keys: Keys) -> None:
    await press.event()
    await link.send("DEL", keys.stream(SHARED_TAG, "admin"))
    assert numbers([await press.event()]) == [2]


async def test_numbers_beyond_what_lua_writes_with_an_exponent_stay_whole(
    press: Press, link: RedisLink, keys: Keys
) -> None:
    await link.send("HSET", keys.seq(SHARED_TAG), "#epoch", 1760092200, "admin", "1760092200-99999999999999")
    assert (await press.event()).position == "1760092200-100000000000000"


async def test_a_tag_without_an_epoch_is_born_by_the_servers_clock(press: Press, link: RedisLink, keys: Keys) -> None:
    await link.send("DEL", keys.seq(SHARED_TAG))
    await press.event()
    epoch, birth = await link.send("HMGET", keys.seq(SHARED_TAG), "#epoch", "#birth")
    assert epoch == birth
    assert abs(int(epoch) - await now_us(link) // 1000) <= 1000


async def test_the_payload_is_kept_byte_for_byte_with_its_end(press: Press) -> None:
    payload = '{"type":"x","text":"你好 \\n \\u0000 %s %d"'
    await press(Item(payload), Item(payload, expires_at="1769860800000"))
    (_, first), (_, second) = await press.history()
    assert first == {b"m": payload.encode()}
    assert second == {b"m": payload.encode(), b"x": b"1769860800000"}


async def test_history_is_trimmed_to_about_its_length(link: RedisLink, scripts: Scripts, keys: Keys) -> None:
    press = Press(link, scripts, keys, history_length=50)
    for _ in range(10):
        await press(*[Item()] * 50)
    kept = await press.history()
    assert 50 <= len(kept) <= 50 + 100  # whole blocks of a hundred go
    assert kept[-1][0].endswith("-500")


async def test_history_ends_after_its_time_and_every_event_prolongs_it(
    press: Press, link: RedisLink, keys: Keys
) -> None:
    name = keys.stream(SHARED_TAG, "admin")
    await press.event()
    assert 59_000 < await link.send("PTTL", name) <= 60_000
    await link.send("PEXPIRE", name, 1000)
    await press.event()
    assert await link.send("PTTL", name) > 59_000
    assert await link.send("PTTL", keys.seq(SHARED_TAG)) == -1, "the counter of a stream outlives the stream"


async def test_a_call_after_its_deadline_does_nothing(press: Press, link: RedisLink, keys: Keys, ear: Ear) -> None:
    await ear.listen(keys.admin_channel)
    before = await link.send("HGETALL", keys.seq(SHARED_TAG))
    deadline = await now_us(link) // 1000 - 1
    assert await press.raw(Item(operation="op", video="1", state="1 a 60000"), deadline=deadline) == b"late"
    assert await press.history() == []
    assert await link.send("HGETALL", keys.seq(SHARED_TAG)) == before
    assert await link.send("EXISTS", keys.operation(SHARED_TAG, "op"), keys.all_states.table) == 0
    assert await ear.envelopes() == []


async def test_a_call_before_its_deadline_is_carried_out(press: Press, link: RedisLink) -> None:
    (result,) = await press(Item(), deadline=await now_us(link) // 1000 + 5000)
    assert result.status == "new"


# --- delivery


async def test_admin_and_all_have_a_channel_each_and_say_how_many_nodes_live(
    press: Press, link: RedisLink, keys: Keys, ear: Ear
) -> None:
    now = await now_us(link) // 1000
    await link.send("ZADD", keys.leases, now + 60_000, "n1", now + 60_000, "n2", now - 1, "lapsed")
    await ear.listen(keys.admin_channel, keys.all_channel)
    to_admins, to_all = await press(Item('{"type":"a"'), Item('{"type":"b"', "all"))
    assert (to_admins.places, to_all.places) == ("2", "2")
    heard = await ear.heard()
    assert [(channel, [message.payload for message in messages]) for channel, messages in heard] == [
        (keys.admin_channel, [b'{"type":"a"']),
        (keys.all_channel, [b'{"type":"b"']),
    ]


@pytest.mark.parametrize(
    ("users", "admins", "online"),
    [(0, 0, (False, False)), (1, 0, (False, True)), (0, 1, (True, True)), (1, 1, (True, True))],
)
async def test_an_audience_is_online_if_anybody_of_it_is_connected(
    press: Press, link: RedisLink, keys: Keys, users: int, admins: int, online: tuple[bool, bool]
) -> None:
    await link.send("HSET", keys.totals, "user", users, "admin", admins)
    to_admins, to_all = await press(Item(), Item(audience="all"))
    assert (to_admins.online, to_all.online) == online


async def test_a_user_is_reached_on_exactly_the_nodes_that_hold_it(
    press: Press, link: RedisLink, keys: Keys, ear: Ear
) -> None:
    await link.send("HSET", keys.users(bucket("7")), "7", "1 web-1.aa=2 web.x-2.bb=1")
    await ear.listen(*(keys.node_channel(node) for node in ("web-1.aa", "web.x-2.bb", "web-3.cc")))
    result = await press.event("7", '{"type":"a"')
    assert (result.online, result.places) == (True, "1 web-1.aa=2 web.x-2.bb=1")
    assert sorted(channel for channel, _ in await ear.heard()) == [
        keys.node_channel("web-1.aa"),
        keys.node_channel("web.x-2.bb"),
    ]


async def test_an_event_for_a_user_who_is_away_is_kept_and_handed_to_nobody(press: Press) -> None:
    result = await press.event("7")
    assert (result.status, result.online, result.places) == ("new", False, "")
    assert len(await press.history("7")) == 1


async def test_an_envelope_says_everything_a_node_needs(press: Press, keys: Keys, ear: Ear) -> None:
    await ear.listen(keys.admin_channel)
    (result,) = await press(Item('{"type":"你好"', expires_at="1769860800000"))
    assert await ear.envelopes() == [
        Envelope(
            b"e",
            b"admin",
            result.position.encode(),
            b"1000",
            TRACE.encode(),
            b"1769860800000",
            b"-",
            '{"type":"你好"'.encode(),
        )
    ]


async def test_several_messages_for_one_node_travel_in_one_publish_in_order(
    press: Press, link: RedisLink, keys: Keys, ear: Ear
) -> None:
    other = next(str(number) for number in range(8, 1000) if bucket(str(number)) == bucket("7"))
    await link.send("HSET", keys.users(bucket("7")), "7", "1 n1=1 n2=1", other, "1 n1=3")
    await ear.listen(keys.node_channel("n1"), keys.node_channel("n2"))
    await press(Item('{"n":1', "7"), Item('{"n":2', other), Item('{"n":3', "7"))
    heard = dict(await ear.heard())
    assert [message.payload for message in heard[keys.node_channel("n1")]] == [b'{"n":1', b'{"n":2', b'{"n":3']
    assert [message.payload for message in heard[keys.node_channel("n2")]] == [b'{"n":1', b'{"n":3']
    streams = [user_stream(user).encode() for user in ("7", other, "7")]
    assert [message.stream for message in heard[keys.node_channel("n1")]] == streams


# --- doing it again


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


# --- states


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
