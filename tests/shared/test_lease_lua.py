"""``lease.lua`` and ``bury.lua``: who lives, and the sums of what the living hold."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from shared.cluster import list_nodes
from shared.deaths import Deaths
from shared.keys import SHARED_TAG, Keys
from shared.redis_link import RedisLink
from shared.scripts import BURY, LEASE, Scripts
from tests.shared.press import Item, Press


@dataclass(slots=True)
class Leases:
    link: RedisLink
    scripts: Scripts
    keys: Keys

    async def __call__(
        self,
        how: str,
        node: str,
        revision: int = 1,
        users: int = 0,
        admins: int = 0,
        *,
        ttl_ms: int = 8000,
        about: str = "{}",
    ) -> list[Any]:
        k = self.keys
        names = (k.leases, k.nodes, k.counts, k.totals, k.gone, k.seq(SHARED_TAG))
        reply: list[Any] = await self.scripts.run(
            self.link, LEASE, names, (how, node, ttl_ms, revision, users, admins, about)
        )
        return reply

    async def bury(self, ttl_ms: int = 600_000) -> list[bytes]:
        k = self.keys
        names = (k.leases, k.nodes, k.counts, k.totals, k.gone, k.dying, k.buried)
        dying: list[bytes] = await self.scripts.run(self.link, BURY, names, (ttl_ms, 5000, 8000))
        return dying

    async def buried(self) -> Deaths:
        return Deaths(
            *(int(number or 0) for number in await self.link.send("HMGET", self.keys.buried, *Deaths._fields))
        )

    async def totals(self) -> tuple[int, int]:
        users, admins = await self.link.send("HMGET", self.keys.totals, "user", "admin")
        return int(users or 0), int(admins or 0)

    async def lapse(self, node: str) -> None:
        await self.link.send("ZADD", self.keys.leases, self.link.server_ms() - 1000, node)


@pytest.fixture
def leases(link: RedisLink, scripts: Scripts, keys: Keys) -> Leases:
    return Leases(link, scripts, keys)


async def test_a_lease_lasts_from_the_servers_now_on(leases: Leases, link: RedisLink, keys: Keys) -> None:
    status, now, *_ = await leases("take", "n1", ttl_ms=8000)
    assert status == b"held"
    assert float(await link.send("ZSCORE", keys.leases, "n1")) == now + 8000


async def test_renewing_prolongs_it(leases: Leases, link: RedisLink, keys: Keys) -> None:
    await leases("take", "n1", ttl_ms=5000)
    status, now, *_ = await leases("renew", "n1", 2, ttl_ms=8000)
    assert status == b"held"
    assert float(await link.send("ZSCORE", keys.leases, "n1")) == now + 8000


async def test_a_lease_never_taken_cannot_be_renewed(leases: Leases, link: RedisLink, keys: Keys) -> None:
    assert (await leases("renew", "n1", 1, 5, 5))[0] == b"lost"
    assert await link.send("EXISTS", keys.leases, keys.counts, keys.totals) == 0


async def test_a_lapsed_lease_cannot_be_renewed_even_before_anybody_cleared_it(leases: Leases) -> None:
    await leases("take", "n1")
    await leases.lapse("n1")
    assert (await leases("renew", "n1", 2))[0] == b"lost"


async def test_a_buried_id_never_comes_back(leases: Leases) -> None:
    await leases("take", "n1", 1, 3, 1)
    await leases.lapse("n1")
    assert await leases.bury() == [b"n1"]
    for how in ("take", "renew", "leave"):
        assert (await leases(how, "n1", 9, 3, 1))[0] == b"lost"
    assert await leases.totals() == (0, 0)


async def test_totals_are_the_exact_sums_of_what_the_nodes_said_last(leases: Leases) -> None:
    await leases("take", "n1", 1, 3, 1)
    await leases("take", "n2", 1, 10, 2)
    assert await leases.totals() == (13, 3)
    await leases("renew", "n1", 2, 5, 0)
    await leases("renew", "n1", 2, 5, 0)
    await leases("renew", "n2", 2, 0, 0)
    assert await leases.totals() == (5, 0)


async def test_counts_that_come_late_change_nothing(leases: Leases) -> None:
    await leases("take", "n1", 5, 3, 1)
    await leases("renew", "n1", 4, 100, 100)
    assert await leases.totals() == (3, 1)


async def test_leaving_takes_the_nodes_counts_and_what_it_said_away(
    leases: Leases, link: RedisLink, keys: Keys
) -> None:
    await leases("take", "n1", 1, 3, 1, about='{"name":"n1"}')
    await leases("take", "n2", 1, 1, 1)
    assert (await leases("leave", "n1", 2, 3, 1))[0] == b"held"
    assert await leases.totals() == (1, 1)
    assert await link.send("HKEYS", keys.nodes) == [b"n2"]
    assert await link.send("HKEYS", keys.counts) == [b"n2"]
    assert await link.send("ZRANGE", keys.leases, 0, -1) == [b"n2"]


async def test_leaving_twice_subtracts_once(leases: Leases) -> None:
    await leases("take", "n1", 1, 3, 1)
    await leases("leave", "n1", 2)
    await leases("leave", "n1", 3)
    assert await leases.totals() == (0, 0)


async def test_what_a_node_says_of_itself_stays_until_it_says_something_else(
    leases: Leases, link: RedisLink, keys: Keys
) -> None:
    await leases("take", "n1", about='{"name":"one"}')
    await leases("renew", "n1", 2, about="")
    assert await link.send("HGET", keys.nodes, "n1") == b'{"name":"one"}'
    await leases("renew", "n1", 3, about='{"name":"two"}')
    assert await link.send("HGET", keys.nodes, "n1") == b'{"name":"two"}'


async def test_a_renewal_brings_the_tops_of_the_shared_streams_and_of_the_states(
    leases: Leases, link: RedisLink, scripts: Scripts, keys: Keys
) -> None:
    _, _, admin, everyone, states = await leases("take", "n1")
    assert admin == everyone
    assert admin.endswith(b"-0")
    assert states.endswith(b"-0")
    press = Press(link, scripts, keys)
    event = await press.event("all")
    await press(Item(kind="s", video="1", state="5 a 60000"))
    _, _, admin, everyone, states = await leases("renew", "n1", 2)
    assert everyone.decode() == event.position
    assert admin.endswith(b"-0")
    assert states.endswith(b"-1")


# --- burying


async def test_only_those_whose_lease_lapsed_are_buried_with_their_counts(
    leases: Leases, link: RedisLink, keys: Keys
) -> None:
    await leases("take", "n1", 1, 3, 1)
    await leases("take", "n2", 1, 10, 2)
    await leases.lapse("n1")
    assert await leases.bury() == [b"n1"]
    assert await leases.totals() == (10, 2)
    assert await link.send("ZRANGE", keys.leases, 0, -1) == [b"n2"]
    assert await link.send("HKEYS", keys.counts) == [b"n2"]


async def test_a_buried_node_waits_until_it_was_cleared(leases: Leases, link: RedisLink, keys: Keys) -> None:
    await leases("take", "n1", 1, 3, 1)
    await leases.lapse("n1")
    assert await leases.bury() == await leases.bury() == [b"n1"]
    assert await leases.totals() == (0, 0)
    await link.send("ZREM", keys.dying, "n1")
    assert await leases.bury() == []


async def test_the_buried_are_forgotten_after_their_time(leases: Leases, link: RedisLink, keys: Keys) -> None:
    await link.send("ZADD", keys.gone, link.server_ms() - 601_000, "old", link.server_ms() - 500_000, "young")
    await leases.bury(600_000)
    assert await link.send("ZRANGE", keys.gone, 0, -1) == [b"young"]


async def test_a_node_that_lapsed_before_it_counted_is_buried_too(leases: Leases, link: RedisLink, keys: Keys) -> None:
    await leases.lapse("n1")
    assert await leases.bury() == [b"n1"]
    assert await leases.totals() == (0, 0)


async def test_the_dead_are_counted_once_with_what_they_held_by_the_state_they_told(leases: Leases) -> None:
    for node, state in (("a", "up"), ("b", "draining"), ("c", "draining"), ("d", "up")):
        await leases("take", node, 1, 3, 1, about=json.dumps({"name": node, "state": state}, separators=(",", ":")))
    await leases("renew", "c", 2, 0, 0, about="")
    for node in "abc":
        await leases.lapse(node)
    await leases.bury()
    await leases.bury()
    assert await leases.buried() == Deaths(up=1, draining=2, up_connections=4, draining_connections=4)


async def test_who_leaves_is_not_counted_among_the_dead(leases: Leases) -> None:
    await leases("take", "n1", 1, 3, 1)
    await leases("leave", "n1", 2)
    await leases.bury()
    assert await leases.buried() == Deaths()


async def test_when_nobody_has_looked_for_long_all_leases_hold_anew(
    leases: Leases, link: RedisLink, keys: Keys
) -> None:
    await leases("take", "lapsed")
    await leases("take", "nearly", ttl_ms=5000)
    await leases("take", "long", ttl_ms=60_000)
    await leases.bury()
    await leases.lapse("lapsed")
    await link.send("HSET", keys.buried, "#looked", link.server_ms() - 5500)
    assert await leases.bury() == []
    now = link.server_ms()
    ends = {
        node.decode(): float(end) - now for node, end in await link.send("ZRANGE", keys.leases, 0, -1, "WITHSCORES")
    }
    assert 6000 < ends["lapsed"] == ends["nearly"] < 9000
    assert ends["long"] > 50_000
    await leases.lapse("lapsed")
    assert await leases.bury() == [b"lapsed"], "once, and not at every look"


async def test_a_change_of_caretakers_prolongs_nothing(leases: Leases, link: RedisLink, keys: Keys) -> None:
    await leases("take", "n1")
    await leases.lapse("n1")
    await link.send("HSET", keys.buried, "#looked", link.server_ms() - 3000)
    assert await leases.bury() == [b"n1"]


# --- reading


async def test_the_living_are_listed_by_name_with_what_they_hold(leases: Leases, link: RedisLink, keys: Keys) -> None:
    await leases("take", "b.1", 1, 3, 1, about=json.dumps({"name": "b", "users": 2}))
    await leases("take", "a.1", 1, 0, 0, about=json.dumps({"name": "a", "users": 0}))
    await leases("take", "c.1", 1, 9, 9, about=json.dumps({"name": "c", "users": 5}))
    await leases.lapse("c.1")
    assert await list_nodes(link, keys) == [
        {"node_id": "a.1", "name": "a", "users": 0, "user_connections": 0, "admin_connections": 0},
        {"node_id": "b.1", "name": "b", "users": 2, "user_connections": 3, "admin_connections": 1},
    ]
