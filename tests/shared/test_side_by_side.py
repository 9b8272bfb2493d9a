"""What processes of the next version add to values in Redis, and what those of this version make of it."""

from __future__ import annotations

import pytest

from shared.cluster import list_nodes, parse_places
from shared.ids import Position
from shared.keys import Keys, bucket
from shared.redis_link import RedisLink
from shared.scripts import BURY, CLEAR_NODE, REGISTER, Scripts
from shared.states import parse_record
from tests.shared.press import Press

ALICE = "alice"
TAG = bucket(ALICE)
ENTRIES = {
    "more after a count": (b"1 new.1=2;zone-a", {"new.1": 2}),
    "a word that is no place": (b"1 new.1=2 muted", {"new.1": 2}),
    "another version": (b"2 new.1=2;zone-a muted", {"new.1": 2}),
}
each_entry = pytest.mark.parametrize(("entry", "places"), ENTRIES.values(), ids=ENTRIES.keys())


@each_entry
def test_places_are_read_and_the_rest_is_passed_over(entry: bytes, places: dict[str, int]) -> None:
    assert parse_places(entry) == places


@each_entry
async def test_a_registration_leaves_what_others_wrote_as_they_wrote_it(
    link: RedisLink, scripts: Scripts, keys: Keys, entry: bytes, places: dict[str, int]
) -> None:
    await link.send("HSET", keys.users(TAG), ALICE, entry)
    names = [keys.users(TAG), keys.held(TAG, "old.1"), keys.tomb(TAG, "old.1"), keys.blocked(TAG), keys.seq(TAG)]
    names.append(keys.user_states(ALICE).table)

    async def register(revision: int, connections: int) -> int:
        _, _, _, elsewhere, *_ = await scripts.run(link, REGISTER, names, ("old.1", revision, ALICE, connections, "u"))
        return int(elsewhere)

    assert await register(1, 3) == 2
    assert await link.send("HGET", keys.users(TAG), ALICE) == entry + b" old.1=3"
    assert await register(2, 0) == 2
    assert await link.send("HGET", keys.users(TAG), ALICE) == entry


async def test_an_entry_goes_with_its_last_place_whatever_else_it_says(
    link: RedisLink, scripts: Scripts, keys: Keys
) -> None:
    names = [keys.users(TAG), keys.held(TAG, "old.1"), keys.tomb(TAG, "old.1"), keys.blocked(TAG), keys.seq(TAG)]
    names.append(keys.user_states(ALICE).table)
    await link.send("HSET", keys.users(TAG), ALICE, "1 old.1=1;zone-a muted")
    await scripts.run(link, REGISTER, names, ("old.1", 1, ALICE, 0, "u"))
    assert await link.send("HLEN", keys.users(TAG)) == 0, "a user who is nowhere would be counted for ever"
    await link.send("HSET", keys.users(TAG), ALICE, "1 old.1=1;zone-a muted")
    await link.send("HSET", keys.held(TAG, "old.1"), ALICE, "1")
    await scripts.run(link, CLEAR_NODE, names[:3], ("old.1", 500, 60_000))
    assert await link.send("HLEN", keys.users(TAG)) == 0


@each_entry
async def test_clearing_a_dead_node_leaves_what_others_wrote_as_they_wrote_it(
    link: RedisLink, scripts: Scripts, keys: Keys, entry: bytes, places: dict[str, int]
) -> None:
    head, _, rest = entry.partition(b" ")
    await link.send("HSET", keys.users(TAG), ALICE, head + b" dead.1=1;zone-b " + rest)
    await link.send("HSET", keys.held(TAG, "dead.1"), ALICE, "1;zone-b")
    names = (keys.users(TAG), keys.held(TAG, "dead.1"), keys.tomb(TAG, "dead.1"))
    assert await scripts.run(link, CLEAR_NODE, names, ("dead.1", 500, 60_000)) == 0
    assert await link.send("HGET", keys.users(TAG), ALICE) == entry


@each_entry
async def test_a_publish_finds_the_nodes_of_every_version(
    link: RedisLink, scripts: Scripts, keys: Keys, entry: bytes, places: dict[str, int]
) -> None:
    await link.send("HSET", keys.users(TAG), ALICE, entry)
    result = await Press(link, scripts, keys).event(ALICE)
    assert (result.online, result.places) == (True, entry.decode())


async def test_a_node_with_more_counters_is_listed_and_buried_like_any_other(
    link: RedisLink, scripts: Scripts, keys: Keys
) -> None:
    await link.send("ZADD", keys.leases, link.server_ms() + 60_000, "new.1")
    await link.send("HSET", keys.nodes, "new.1", '{"name":"new","zone":"a"}')
    await link.send("HSET", keys.counts, "new.1", "7 3 1 99")
    await link.send("HSET", keys.totals, "user", 5, "admin", 1)
    (node,) = await list_nodes(link, keys)
    assert (node["name"], node["user_connections"], node["admin_connections"]) == ("new", 3, 1)
    await link.send("ZADD", keys.leases, link.server_ms() - 1000, "new.1")
    names = (keys.leases, keys.nodes, keys.counts, keys.totals, keys.gone, keys.dying, keys.buried)
    assert await scripts.run(link, BURY, names, (60_000, 5000, 8000)) == [b"new.1"]
    assert await link.send("HMGET", keys.totals, "user", "admin") == [b"2", b"0"]


@pytest.mark.parametrize("owner", ["7", ""])
def test_a_states_first_line_may_say_more(owner: str) -> None:
    state = parse_record(b"12", f'5-9 1000 2000 a {owner} more\n{{"progress":5'.encode())
    assert (state.revision, state.expires_ms, state.final, state.owner) == (Position(5, 9), 2000, False, owner)
    assert state.json == b'{"progress":5}'
