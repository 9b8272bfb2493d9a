"""The way of a message into Redis: which streams, how many nodes, what a repetition gets."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from router.operations import KeyReused, Operation, Origin
from router.order import Order, Outcome, Target
from router.publisher import Publisher
from shared.errors import RedisUnavailable
from shared.ids import parse_event_id, user_stream
from shared.keys import BUCKETS, SHARED_TAG, Keys, bucket
from shared.messages import prepare
from shared.redis_link import RedisLink
from shared.scripts import Scripts
from shared.states import read_state
from tests.shared.press import TRACE, Press
from tests.support.ports import free_port

NOW_US = 1760092200_000000
EVENT = prepare({"type": "order_paid", "order": 1}, now_us=NOW_US)


@pytest.fixture
def publisher(link: RedisLink, scripts: Scripts, keys: Keys) -> Publisher:
    return make_publisher(link, scripts, keys)


def make_publisher(link: RedisLink, scripts: Scripts, keys: Keys) -> Publisher:
    return Publisher(
        link, scripts, keys, history_length=200, history_length_shared=10_000, history_ttl=900, state_ttl=3600
    )


def operation(key: str = "key", digest: str = "digest") -> Operation:
    return Operation("caller", key, digest, explicit=True)


def order(*targets: Target, key: str = "key", digest: str = "digest") -> Order:
    return Order(EVENT, targets, operation(key, digest), Origin(TRACE, NOW_US))


async def one(publisher: Publisher, order: Order) -> Outcome:
    (outcome,) = await publisher.publish([order])
    assert isinstance(outcome, Outcome)
    return outcome


async def hold(link: RedisLink, keys: Keys, user: str, *nodes: str) -> None:
    await link.send("HSET", keys.users(bucket(user)), user, "1 " + " ".join(f"{node}=1" for node in nodes))


def of_each_bucket() -> list[str]:
    users = {bucket(f"u{number}"): f"u{number}" for number in range(500)}
    assert len(users) == BUCKETS
    return list(users.values())


async def test_every_audience_gets_an_id_in_its_own_stream(publisher: Publisher) -> None:
    outcome = await one(publisher, order(publisher.admin, publisher.all, publisher.user("7")))
    assert list(outcome.ids) == ["admin", "all", "user:7"]
    streams = [parse_event_id(id_)[0] for id_ in outcome.ids.values()]  # type: ignore[index]
    assert streams == ["admin", "all", user_stream("7")]


async def test_ids_come_in_the_order_of_the_audiences_whatever_their_buckets(publisher: Publisher) -> None:
    users = of_each_bucket()
    outcome = await one(publisher, order(*publisher.users(users), publisher.admin))
    assert list(outcome.ids) == [*(f"user:{user}" for user in users), "admin"]


async def test_users_named_twice_get_it_once(
    publisher: Publisher, link: RedisLink, scripts: Scripts, keys: Keys
) -> None:
    targets = publisher.users(["7", "8", "7", "8", "7"])
    assert [target.where for target in targets] == ["7", "8"]
    await one(publisher, order(*targets))
    assert len(await Press(link, scripts, keys).history("7")) == 1


async def test_nodes_are_counted_once_however_many_of_the_users_they_hold(
    publisher: Publisher, link: RedisLink, keys: Keys
) -> None:
    users = of_each_bucket()
    for user in users:
        await hold(link, keys, user, "n1", "n2")
    await hold(link, keys, users[3], "n1", "n3")
    outcome = await one(publisher, order(*publisher.users(users)))
    assert (outcome.nodes, outcome.online) == (3, True)
    again = await one(publisher, order(*publisher.users(users)))
    assert (again.nodes, again.online, again.ids) == (3, True, outcome.ids)


async def test_shared_audiences_count_the_living_nodes(publisher: Publisher, link: RedisLink, keys: Keys) -> None:
    await link.send("ZADD", keys.leases, link.server_ms() + 60_000, "n1", link.server_ms() + 60_000, "n2")
    await hold(link, keys, "7", "n1")
    assert (await one(publisher, order(publisher.admin, publisher.user("7")))).nodes == 2
    assert (await one(publisher, order(publisher.admin, publisher.user("7")))).nodes == 2


async def test_nobody_is_online_where_nobody_is(publisher: Publisher) -> None:
    outcome = await one(publisher, order(publisher.admin, publisher.all, *publisher.users(["7", "8"])))
    assert (outcome.nodes, outcome.online) == (0, False)


async def test_one_who_is_online_among_several_is_enough(publisher: Publisher, link: RedisLink, keys: Keys) -> None:
    await hold(link, keys, "8", "n1")
    outcome = await one(publisher, order(*publisher.users(["7", "8", "9"])))
    assert (outcome.nodes, outcome.online) == (1, True)


async def test_many_orders_have_an_outcome_each_in_their_place(publisher: Publisher) -> None:
    orders = [order(publisher.user(f"u{number}"), key=f"k{number}") for number in range(300)]
    outcomes = await publisher.publish(orders)
    assert [list(outcome.ids) for outcome in outcomes if isinstance(outcome, Outcome)] == [
        [f"user:u{number}"] for number in range(300)
    ]


async def test_more_messages_than_one_call_takes_stay_in_order(
    publisher: Publisher, link: RedisLink, scripts: Scripts, keys: Keys
) -> None:
    orders = [
        replace(order(publisher.admin, key=f"k{n}"), message=prepare({"type": "x", "n": n}, now_us=NOW_US))
        for n in range(350)
    ]
    outcomes = await publisher.publish(orders)
    ids = [parse_event_id(outcome.ids["admin"])[1].n for outcome in outcomes if isinstance(outcome, Outcome)]  # type: ignore[index]
    assert ids == list(range(1, 351))
    history = await Press(link, scripts, keys).history()
    assert [fields[b"m"] for _, fields in history] == [b'{"type":"x","n":%d' % n for n in range(350)]


async def test_a_repeated_operation_is_done_once_and_answered_alike(
    publisher: Publisher, link: RedisLink, scripts: Scripts, keys: Keys
) -> None:
    targets = (publisher.admin, *publisher.users(["7", "8"]))
    first = await one(publisher, order(*targets))
    assert await one(publisher, order(*targets)) == first
    assert len(await Press(link, scripts, keys).history()) == 1


async def test_a_repetition_completes_what_was_done_in_part(publisher: Publisher) -> None:
    part = await one(publisher, order(publisher.admin))
    whole = await one(publisher, order(publisher.admin, publisher.user("7")))
    assert whole.ids["admin"] == part.ids["admin"]
    assert set(whole.ids) == {"admin", "user:7"}


async def test_a_key_with_another_body_is_refused_and_harms_no_other_order(publisher: Publisher) -> None:
    await one(publisher, order(publisher.admin, digest="one"))
    refused, other = await publisher.publish(
        [order(publisher.admin, digest="two"), order(publisher.admin, key="other")]
    )
    assert isinstance(refused, KeyReused)
    assert isinstance(other, Outcome)


async def test_keys_of_two_callers_are_two(publisher: Publisher) -> None:
    first = await one(publisher, order(publisher.admin))
    theirs = replace(operation(), caller="another")
    second = await one(publisher, replace(order(publisher.admin), operation=theirs))
    assert first.ids != second.ids


async def test_a_state_has_no_id_and_is_kept_for_admins_and_owner(
    publisher: Publisher, link: RedisLink, keys: Keys
) -> None:
    progress = prepare({"type": "transcode_progress", "video_id": 1, "status": "x", "progress": 5}, now_us=NOW_US)
    state = replace(order(publisher.admin, publisher.user("7")), message=progress, owner="7")
    assert (await one(publisher, state)).ids == {}
    for table in (keys.all_states, keys.user_states("7")):
        kept = await read_state(link, table, 1)
        assert kept is not None
        assert (kept.video_id, kept.owner, kept.final) == (1, "7", False)
        assert json.loads(kept.json)["progress"] == 5
        assert 3_590_000 < kept.expires_ms - link.server_ms() <= 3_600_000


async def test_how_a_transcode_ended_is_kept_for_a_day(publisher: Publisher, link: RedisLink, keys: Keys) -> None:
    failed = prepare({"type": "transcode_failed", "video_id": 1, "title": "t", "error": "e"}, now_us=NOW_US)
    await one(publisher, replace(order(publisher.admin), message=failed))
    kept = await read_state(link, keys.all_states, 1)
    assert kept is not None
    assert kept.final
    assert 86_390_000 < kept.expires_ms - link.server_ms() <= 86_400_000


async def test_all_keys_of_each_script_call_share_one_hash_tag(
    publisher: Publisher, link: RedisLink, keys: Keys
) -> None:
    """Redis Cluster refuses a call whose keys do not: what each tag's call may touch carries that tag."""
    users = of_each_bucket()
    await one(publisher, order(publisher.admin, publisher.all, *publisher.users(users)))
    for key in (key.decode() for key in await link.send("KEYS", f"{keys.prefix}:stream:*")):
        stream = key.rpartition(":")[2]
        tag = SHARED_TAG if stream in {"admin", "all"} else next(bucket(u) for u in users if user_stream(u) == stream)
        assert f"{{{tag}}}" in key


async def test_without_redis_nothing_is_done(scripts: Scripts, keys: Keys) -> None:
    async with RedisLink(f"redis://127.0.0.1:{free_port()}/0", name="test") as away:
        publisher = make_publisher(away, scripts, keys)
        with pytest.raises(RedisUnavailable):
            await publisher.publish([order(publisher.admin)])
    await asyncio.sleep(0)
