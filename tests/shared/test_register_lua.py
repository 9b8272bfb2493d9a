"""``register.lua`` and ``clear_node.lua``: absolute counts, and their removal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from shared.cluster import clear_node, parse_places, user_places
from shared.ids import user_stream
from shared.keys import BUCKETS, Keys, bucket
from shared.redis_link import RedisLink
from shared.scripts import CLEAR_NODE, REGISTER, Scripts
from tests.shared.press import Item, Press


@dataclass(frozen=True, slots=True)
class User:
    """What a registration is told of a user."""

    elsewhere: int
    blocked: int
    top: bytes
    has_states: int
    change: int


@dataclass(slots=True)
class Registry:
    link: RedisLink
    scripts: Scripts
    keys: Keys

    async def raw(self, node: str, revision: int, **counts: int) -> Any:
        k = self.keys
        (tag,) = {bucket(user) for user in counts}
        names = [k.users(tag), k.held(tag, node), k.tomb(tag, node), k.blocked(tag), k.seq(tag)]
        args: list[str | int] = [node, revision]
        for user, count in counts.items():
            names.append(k.user_states(user).table)
            args += [user, count, user_stream(user)]
        return await self.scripts.run(self.link, REGISTER, names, args)

    async def __call__(self, node: str, revision: int, **counts: int) -> list[User]:
        status, _, _, *values = await self.raw(node, revision, **counts)
        assert status == b"ok"
        return [User(*values[index : index + 5]) for index in range(0, len(values), 5)]

    async def places(self, user: str) -> dict[str, int]:
        return await user_places(self.link, self.keys, user)

    async def clear(self, node: str, tag: str, chunk: int = 500) -> int:
        k = self.keys
        names = (k.users(tag), k.held(tag, node), k.tomb(tag, node))
        left: int = await self.scripts.run(self.link, CLEAR_NODE, names, (node, chunk, 60_000))
        return left


@pytest.fixture
def registry(link: RedisLink, scripts: Scripts, keys: Keys) -> Registry:
    return Registry(link, scripts, keys)


def neighbours(number: int) -> list[str]:
    """Return users that share one bucket."""
    return [f"u{index}" for index in range(100_000) if bucket(f"u{index}") == "3"][:number]


ALICE, BOB = neighbours(2)


# --- registering


async def test_counts_are_absolute(registry: Registry) -> None:
    for revision, count in ((1, 1), (2, 5), (3, 5), (4, 2)):
        (alice,) = await registry("n1", revision, **{ALICE: count})
        assert alice.elsewhere == 0
        assert await registry.places(ALICE) == {"n1": count}


async def test_the_same_registration_twice_changes_nothing(registry: Registry) -> None:
    assert (await registry("n1", 1, **{ALICE: 2}))[0].change == 1
    assert (await registry("n1", 1, **{ALICE: 2}))[0].change == 0
    assert await registry.places(ALICE) == {"n1": 2}


async def test_a_stale_revision_is_refused_and_changes_nothing(registry: Registry) -> None:
    await registry("n1", 5, **{ALICE: 2})
    assert await registry.raw("n1", 4, **{ALICE: 0}) == [b"stale"]
    assert await registry.places(ALICE) == {"n1": 2}


async def test_revisions_of_two_nodes_are_their_own(registry: Registry) -> None:
    await registry("n1", 5, **{ALICE: 2})
    (alice,) = await registry("n2", 1, **{ALICE: 3})
    assert alice.elsewhere == 2
    assert await registry.places(ALICE) == {"n1": 2, "n2": 3}


async def test_connections_are_added_up_over_all_other_nodes(registry: Registry) -> None:
    for number in range(1, 6):
        (alice,) = await registry(f"n{number}", 1, **{ALICE: number})
        assert alice.elsewhere == number * (number - 1) // 2


async def test_nodes_whose_names_begin_alike_are_not_mixed_up(registry: Registry) -> None:
    for node in ("web-1.a", "web-1.ab", "web-1", "eb-1.a", "web+1.a", "web.1.a"):
        await registry(node, 1, **{ALICE: 1})
    await registry("web-1.a", 2, **{ALICE: 0})
    assert set(await registry.places(ALICE)) == {"web-1.ab", "web-1", "eb-1.a", "web+1.a", "web.1.a"}


async def test_users_of_the_cluster_change_with_their_first_and_last_connection(registry: Registry) -> None:
    changes = [
        (await registry(node, revision, **{ALICE: count}))[0].change
        for node, revision, count in (
            ("n1", 1, 1),
            ("n1", 2, 3),
            ("n2", 1, 1),
            ("n1", 3, 0),
            ("n2", 2, 0),
            ("n2", 3, 0),
        )
    ]
    assert changes == [1, 0, 0, 0, -1, 0]


async def test_a_user_who_has_gone_leaves_nothing_behind(registry: Registry, link: RedisLink, keys: Keys) -> None:
    await registry("n1", 1, **{ALICE: 1, BOB: 1})
    await registry("n1", 2, **{ALICE: 0})
    assert await link.send("HKEYS", keys.users("3")) == [BOB.encode()]
    assert set(await link.send("HKEYS", keys.held("3", "n1"))) == {b"#rev", BOB.encode()}


async def test_many_users_are_registered_in_one_call_each_with_its_answer(registry: Registry, link: RedisLink) -> None:
    users = neighbours(100)
    answers = await registry("n1", 1, **{user: index + 1 for index, user in enumerate(users)})
    assert [answer.change for answer in answers] == [1] * 100
    there = await registry("n2", 1, **dict.fromkeys(users, 1))
    assert [answer.elsewhere for answer in there] == list(range(1, 101))
    assert [answer.change for answer in there] == [0] * 100


async def test_a_cleared_node_id_can_register_nobody(registry: Registry, keys: Keys, link: RedisLink) -> None:
    await registry.clear("n1", "3")
    assert await registry.raw("n1", 1, **{ALICE: 1}) == [b"dead"]
    assert await link.send("EXISTS", keys.users("3"), keys.held("3", "n1")) == 0
    assert (await registry("n2", 1, **{ALICE: 1}))[0].change == 1


async def test_a_blocked_user_is_told_so_until_the_block_ends(registry: Registry, link: RedisLink, keys: Keys) -> None:
    now = link.server_ms()
    await link.send("ZADD", keys.blocked("3"), now + 60_000, ALICE, now - 1000, BOB)
    alice, bob = await registry("n1", 1, **{ALICE: 1, BOB: 1})
    assert (alice.blocked, bob.blocked) == (1, 0)


async def test_a_registration_tells_where_the_users_stream_stands(
    registry: Registry, link: RedisLink, scripts: Scripts, keys: Keys
) -> None:
    result = await Press(link, scripts, keys).event(ALICE)
    alice, bob = await registry("n1", 1, **{ALICE: 1, BOB: 1})
    assert (alice.top.decode(), bob.top) == (result.position, b"")
    _, _, untouched, *_ = await registry.raw("n1", 2, **{BOB: 1})
    assert untouched.decode() == result.position.split("-")[0] + "-0"


async def test_a_registration_tells_whether_a_user_has_states(
    registry: Registry, link: RedisLink, scripts: Scripts, keys: Keys
) -> None:
    await Press(link, scripts, keys)(Item('{"progress":5', ALICE, "s", video="1", state="5 a 60000", owner=ALICE))
    alice, bob = await registry("n1", 1, **{ALICE: 1, BOB: 1})
    assert (alice.has_states, bob.has_states) == (1, 0)


# --- clearing


async def test_a_node_is_cleared_and_the_entries_of_others_stay(registry: Registry) -> None:
    await registry("n1", 1, **{ALICE: 1, BOB: 2})
    await registry("n2", 1, **{BOB: 3})
    assert await registry.clear("n1", "3") == 0
    assert await registry.places(ALICE) == {}
    assert await registry.places(BOB) == {"n2": 3}


async def test_clearing_twice_does_no_harm(registry: Registry, link: RedisLink, keys: Keys) -> None:
    await registry("n1", 1, **{ALICE: 1})
    await registry("n2", 1, **{ALICE: 1})
    for _ in range(2):
        assert await registry.clear("n1", "3") == 0
        assert await registry.places(ALICE) == {"n2": 1}
    assert await link.send("EXISTS", keys.held("3", "n1")) == 0


async def test_a_large_node_is_cleared_in_chunks(registry: Registry) -> None:
    users = neighbours(2500)
    await registry("n1", 1, **dict.fromkeys(users, 1))
    left = [await registry.clear("n1", "3", chunk=600)]
    while left[-1]:
        left.append(await registry.clear("n1", "3", chunk=600))
    assert len(left) >= 3
    assert left == sorted(left, reverse=True)
    assert await registry.places(users[0]) == await registry.places(users[-1]) == {}


async def test_clearing_goes_over_every_bucket(
    registry: Registry, link: RedisLink, scripts: Scripts, keys: Keys
) -> None:
    users = {bucket(f"x{number}"): f"x{number}" for number in range(500)}
    assert len(users) == BUCKETS
    for user in users.values():
        await registry("n1", 1, **{user: 1})
    await clear_node(link, scripts, keys, "n1")
    assert await link.send("KEYS", f"{keys.prefix}:users:*") == []
    assert await link.send("KEYS", f"{keys.prefix}:held:*") == []


async def test_a_tombstone_lasts_as_long_as_it_was_asked_for(registry: Registry, link: RedisLink, keys: Keys) -> None:
    await registry.clear("n1", "3")
    assert 59_000 < await link.send("PTTL", keys.tomb("3", "n1")) <= 60_000


@pytest.mark.parametrize(
    ("entry", "places"),
    [
        (None, {}),
        (b"1", {}),
        (b"1 n1=2", {"n1": 2}),
        (b"1 web-1.aa=2 web.x-2.bb=10", {"web-1.aa": 2, "web.x-2.bb": 10}),
    ],
)
def test_an_entry_of_the_registry_is_read(entry: bytes | None, places: dict[str, int]) -> None:
    assert parse_places(entry) == places
