"""The scripts that take entries off the queue: whose turn it is, in which order, within which bounds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from shared.errors import RedisRefused
from shared.keys import Keys
from shared.redis_link import RedisLink
from shared.scripts import QUEUE_SETTLE, QUEUE_TAKE, Scripts


@dataclass(frozen=True)
class Taken:
    mine: bool
    ids: list[str]
    entries: list[Any]
    before: int
    given_up: int
    waiting: int
    taken: int
    oldest: str
    newest: str


class Queue:
    def __init__(self, link: RedisLink, scripts: Scripts, keys: Keys) -> None:
        self.link, self.scripts, self.keys = link, scripts, keys

    async def append(self, count: int = 1, **fields: str) -> list[str]:
        words = [word for field in (fields or {"body": "{}"}).items() for word in field]
        return [(await self.link.send("XADD", self.keys.queue, "*", *words)).decode() for _ in range(count)]

    async def take(
        self,
        who: str = "a",
        *,
        turn_ms: int = 60_000,
        most: int = 10,
        enough: int = 10**6,
        too_large: int = 10**6,
        max_length: int = 10**6,
        keep_ms: int = 10**6,
        uncounted: bool = False,
    ) -> Taken:
        names = (self.keys.queue, self.keys.queue_turn, self.keys.queue_dead)
        bounds = (most, enough, too_large, 3, max_length, keep_ms, int(uncounted))
        reply = await self.scripts.run(self.link, QUEUE_TAKE, names, (who, turn_ms, "g", "g", *bounds))
        mine, entries, before, given_up, waiting, taken, oldest, newest = reply
        ids = [entry[0].decode() for entry in entries]
        return Taken(mine == 1, ids, entries, before, given_up, waiting, taken, oldest.decode(), newest.decode())

    async def settle(self, *done: str, aside: tuple[str, ...] = ()) -> int:
        extra = [text for each in aside for text in (each, "invalid", '"why"', "")]
        names = (self.keys.queue, self.keys.queue_dead)
        count: int = await self.scripts.run(
            self.link, QUEUE_SETTLE, names, ("g", 1000, 100, 3, len(done), *done, *extra)
        )
        return count

    async def dead(self) -> list[dict[bytes, bytes]]:
        found = await self.link.send("XRANGE", self.keys.queue_dead, "-", "+")
        return [dict(zip(fields[::2], fields[1::2], strict=True)) for _, fields in found]


@pytest.fixture
def queue(link: RedisLink, scripts: Scripts, keys: Keys) -> Queue:
    return Queue(link, scripts, keys)


async def test_entries_are_taken_in_their_order_and_once(queue: Queue) -> None:
    ids = await queue.append(5)
    first = await queue.take(most=3)
    assert (first.mine, first.ids, first.before, first.waiting, first.taken) == (True, ids[:3], 0, 5, 3)
    await queue.settle(*ids[:3])
    second = await queue.take(most=3)
    assert (second.ids, second.waiting, second.oldest) == (ids[3:], 2, ids[3])


async def test_a_queue_that_nobody_has_written_to_is_empty(queue: Queue) -> None:
    taken = await queue.take()
    assert (taken.mine, taken.ids, taken.waiting, taken.oldest, taken.newest) == (True, [], 0, "", "0-0")


async def test_an_empty_queue_tells_its_newest_entry_so_that_one_can_wait_for_the_next(queue: Queue) -> None:
    (only,) = await queue.append()
    await queue.take()
    await queue.settle(only)
    assert (await queue.take()).newest == only


async def test_while_one_has_the_turn_others_take_nothing_and_see_how_the_queue_stands(queue: Queue) -> None:
    ids = await queue.append(2)
    await queue.take("a", most=1)
    other = await queue.take("b")
    assert (other.mine, other.ids, other.waiting, other.taken, other.oldest) == (False, [], 2, 1, ids[0])


async def test_who_comes_next_begins_with_what_was_left_and_keeps_the_order(queue: Queue) -> None:
    ids = await queue.append(6)
    await queue.take("a", turn_ms=1, most=4)
    await queue.settle(ids[1])
    await until_free(queue)
    left = await queue.take("b")
    assert (left.ids, left.before) == ([ids[0], *ids[2:4]], 1)
    assert (await queue.take("a")).ids == []
    await queue.settle(*left.ids)
    assert (await queue.take("b")).ids == ids[4:]


async def until_free(queue: Queue) -> None:
    """Return once the turn has lapsed on the server's clock."""
    while await queue.link.send("EXISTS", queue.keys.queue_turn):
        pass


async def test_a_turn_that_is_given_back_is_free_at_once_and_only_its_holder_gives_it_back(queue: Queue) -> None:
    await queue.append()
    await queue.take("a")
    assert not (await queue.take("b", turn_ms=0)).mine
    assert not (await queue.take("b")).mine
    await queue.take("a", turn_ms=0)
    assert (await queue.take("b")).mine


async def test_an_entry_that_was_taken_again_and_again_is_taken_alone(queue: Queue) -> None:
    ids = await queue.append(3)
    for before in range(3):
        assert (await queue.take()).before == before
    alone = await queue.take()
    assert (alone.ids, alone.before) == (ids[:1], 3)
    await queue.settle(ids[0])
    assert (await queue.take()).ids == ids[1:2], "these had been taken as often"


async def test_takings_that_redis_alone_brought_to_nothing_are_not_counted(queue: Queue) -> None:
    ids = await queue.append(3)
    await queue.take()
    await queue.link.send("XDEL", queue.keys.queue, ids[1])
    for _ in range(5):
        again = await queue.take(uncounted=True)
        assert (again.ids, again.before) == ([ids[0], ids[2]], 1)
        assert again.entries[0][1] == [b"body", b"{}"]
    assert (await queue.take()).before == 1


async def test_no_more_bytes_are_taken_than_needed_but_always_one(queue: Queue) -> None:
    ids = await queue.append(4, body="x" * 100)
    assert (await queue.take(enough=150)).ids == ids[:2]
    assert (await queue.take(enough=1)).ids == ids[:1], "and no more of what was left"


async def test_an_entry_that_is_too_large_comes_without_its_fields(queue: Queue) -> None:
    await queue.append(body="x" * 100)
    ((_, fields, size),) = (await queue.take(too_large=50)).entries
    assert (fields, size) == ([], 104)


async def test_of_a_queue_that_is_too_long_the_oldest_are_given_up_and_counted(queue: Queue) -> None:
    ids = await queue.append(500)
    taken = await queue.take(max_length=200)
    assert taken.given_up == 500 - taken.waiting
    assert 200 <= taken.waiting < 400, "trimmed by whole blocks"
    assert taken.ids[0] == ids[taken.given_up]


async def test_what_was_given_up_while_it_was_taken_is_no_obstacle(queue: Queue) -> None:
    ids = await queue.append(500)
    await queue.take()
    taken = await queue.take(max_length=100)
    assert taken.ids[0] == ids[taken.given_up]
    assert taken.taken == len(taken.ids)


async def test_settling_again_changes_nothing(queue: Queue) -> None:
    good, bad = await queue.append(2)
    await queue.take()
    assert await queue.settle(good, aside=(bad,)) == 1
    assert await queue.settle(good, aside=(bad,)) == 0
    assert len(await queue.dead()) == 1
    taken = await queue.take()
    assert (taken.waiting, taken.taken) == (0, 0)


async def test_what_is_set_aside_keeps_its_fields_and_tells_why(queue: Queue) -> None:
    (bad,) = await queue.append(kind="messages", body="{")
    await queue.take()
    await queue.settle(aside=(bad,))
    (dead,) = await queue.dead()
    assert dead.pop(b"entry").decode() == bad
    assert json.loads(dead.pop(b"detail")) == "why"
    assert dead == {b"kind": b"messages", b"body": b"{", b"reason": b"invalid"}


async def test_what_is_set_aside_is_cut_to_what_may_be_kept(queue: Queue) -> None:
    fields = {f"f{number}": "x" * 200 for number in range(10)}
    (bad,) = await queue.append(**fields)
    await queue.take()
    await queue.settle(aside=(bad,))
    (dead,) = await queue.dead()
    kept = {name: value for name, value in dead.items() if name.startswith(b"f")}
    assert kept == {b"f0": b"x" * 100, b"f1": b"x" * 100, b"f2": b"x" * 100}
    assert int(dead[b"cut"]) == 10 * 202


async def test_what_is_set_aside_is_not_kept_for_ever(queue: Queue) -> None:
    await queue.link.send("XADD", queue.keys.queue_dead, "5-0", "entry", "of long ago")
    (new,) = await queue.append()
    await queue.take()
    await queue.settle(aside=(new,))
    await queue.take(keep_ms=3_600_000)
    assert [dead[b"entry"].decode() for dead in await queue.dead()] == [new]


async def test_a_key_of_another_type_is_an_error_and_no_crash(queue: Queue) -> None:
    await queue.link.send("SET", queue.keys.queue, "x")
    with pytest.raises(RedisRefused, match="WRONGTYPE"):
        await queue.take()
