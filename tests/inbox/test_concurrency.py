"""Many who write, read, delete and remove at once: counts stay exact, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from sqlalchemy import select

import router.archive_store
from node.inbox_count import count, read_state
from node.inbox_marks import mark_read, read_up_to, remove
from node.inbox_view import View
from router.archive_store import ArchiveStore
from router.inbox_removal import remove_expired, remove_older
from shared.database import Database
from shared.ids import Position
from shared.inbox_tables import Mark, Notification
from tests.inbox.shelf import ANN, BOB, EPOCH, EVE, at, event, rows, spans

VIEWS = (BOB, EVE, ANN)
AUDIENCES = ("user:bob", "user:eve", "user:ann", "admin", "all")
EVENTS = 240  # per audience
LONG_AGO, SOON = EPOCH - 1, EPOCH + 1_000_000


async def counted_row_by_row(database: Database, view: View) -> dict[str, int]:
    """Count without spans: look at every row."""
    now = int(time.time() * 1000)
    async with database.reading() as connection:
        read = await read_state(connection, view.user_id)
        counts = {}
        for kind in view.kinds:
            audience = view.audience(kind)
            table = select(Notification.epoch, Notification.n, Notification.is_read, Notification.expires_at)
            found = (await connection.execute(table.where(Notification.audience == audience))).all()
            marks = select(Mark.epoch, Mark.n).where(Mark.user_id == view.user_id, Mark.audience == audience)
            marked = {Position(*row) for row in await connection.execute(marks)}
            counts[kind] = sum(
                not is_read
                and Position(epoch, n) > read.up_to[kind]
                and Position(epoch, n) not in marked
                and (expires is None or expires > now)
                for epoch, n, is_read, expires in found
            )
    return counts


class Bustle:
    """Everything that goes on at once on one database."""

    def __init__(self, database: Database) -> None:
        self.database, self.store = database, ArchiveStore(database)
        self.random = random.Random(7)
        self.written = 0

    async def write(self) -> None:
        """Write everything, a batch at a time, as one router would."""
        for start in range(1, EVENTS + 1, 8):
            batch = [
                event(audience, at(n), published=n, expires=LONG_AGO if n % 7 == 0 else None)
                for n in range(start, start + 8)
                for audience in AUDIENCES
            ]
            await self.store.write(batch)
            self.written = start + 7

    async def read_some(self, view: View) -> None:
        for _ in range(25):
            kind = self.random.choice(view.kinds)
            await mark_read(self.database, view, {kind: {at(self.random.randint(1, EVENTS)) for _ in range(4)}})

    async def read_on(self, view: View) -> None:
        for step in range(1, 6):
            await read_up_to(self.database, view, dict.fromkeys(view.kinds, at(step * 8)))

    async def delete_some(self, view: View) -> None:
        for _ in range(15):
            await remove(self.database, view, self.random.choice(view.kinds), at(self.random.randint(1, EVENTS)))

    async def sweep(self) -> None:
        while self.written < EVENTS:
            await remove_expired(self.database, EPOCH)
            await remove_older(self.database, self.written // 4)
            await asyncio.sleep(0.01)

    async def look(self, view: View) -> None:
        while self.written < EVENTS:
            tally = await count(self.database, view)
            assert all(unread >= 0 for unread in tally.unread.values())
            await asyncio.sleep(0.01)


async def test_counts_are_exact_however_many_change_them_at_once(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(router.archive_store, "SPAN", 16)
    bustle = Bustle(database)
    work: list[Coroutine[Any, Any, None]] = [bustle.write(), bustle.write(), bustle.sweep()]
    for view in VIEWS:
        work += [bustle.read_some(view), bustle.read_some(view), bustle.read_on(view), bustle.delete_some(view)]
    await asyncio.gather(*work, bustle.look(BOB))
    assert [len(await spans(database, audience)) > 3 for audience in AUDIENCES] == [True] * len(AUDIENCES)
    for view in VIEWS:
        assert (await count(database, view)).unread == await counted_row_by_row(database, view)


async def test_marking_the_same_from_many_devices_counts_it_once(database: Database):
    await ArchiveStore(database).write([event("user:bob", at(n)) for n in range(1, 11)])
    marked = await asyncio.gather(*(mark_read(database, BOB, {"user": {at(1), at(2)}}) for _ in range(8)))
    assert sorted(len(outcome.changed["user"]) for outcome in marked) == [0] * 7 + [2]
    tally = await count(database, BOB)
    assert (tally.unread["user"], tally.revision) == (8, 1)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("reading", lambda database, n: mark_read(database, BOB, {"user": {at(n)}})),
        ("deleting", lambda database, n: remove(database, BOB, "user", at(n))),
    ],
)
async def test_a_row_that_changes_while_its_span_is_summed_up_is_counted_right(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    change: Callable[[Database, int], Awaitable[object]],
):
    """The span is summed up and not committed yet: whoever changes a row of it must wait."""
    monkeypatch.setattr(router.archive_store, "SPAN", 8)
    store = ArchiveStore(database)
    await store.write([event("user:bob", at(n)) for n in range(1, 8)])
    summed_up = asyncio.Event()
    original = router.archive_store.sum_up

    async def slowly(*args: Any) -> None:
        await original(*args)
        summed_up.set()
        await asyncio.sleep(0.2)

    monkeypatch.setattr(router.archive_store, "sum_up", slowly)
    writing = asyncio.create_task(store.write([event("user:bob", at(8))]))
    await summed_up.wait()
    await change(database, 3)
    await writing
    assert (await count(database, BOB)).unread["user"] == 7
    assert [unread for _, unread in await spans(database, "user:bob")] == [7]
    assert len(await rows(database, "user:bob")) == (8 if name == "reading" else 7)
