"""``publish.lua``: order, history and delivery in one step."""

from __future__ import annotations

import pytest

from shared.envelope import Envelope
from shared.ids import user_stream
from shared.keys import SHARED_TAG, Keys, bucket
from shared.redis_link import RedisLink
from shared.scripts import Scripts
from tests.shared.ear import Ear, now_us
from tests.shared.press import TRACE, Item, Press, Result


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
