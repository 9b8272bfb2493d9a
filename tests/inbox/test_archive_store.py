"""Writing events: each once, in any company."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from node.inbox_count import count
from node.inbox_marks import remove
from router.archive_store import ArchiveStore
from shared.database import Database
from tests.inbox.shelf import BOB, at, event, events, rows, spans


@pytest.fixture
def store(database: Database) -> ArchiveStore:
    return ArchiveStore(database)


async def refuse_poison(database: Database) -> None:
    """Have the database refuse events of a type, as it might one day for a reason that we do not foresee."""
    async with database.writing() as connection:
        if database.is_sqlite:
            trigger = "CREATE TRIGGER poison BEFORE INSERT ON inbox_notification WHEN NEW.type = 'poison' "
            await connection.execute(text(trigger + "BEGIN SELECT RAISE(ABORT, 'poisoned'); END"))
        else:
            await connection.execute(
                text("ALTER TABLE inbox_notification ADD CONSTRAINT poison CHECK (type <> 'poison')")
            )


async def test_events_are_written_with_all_that_is_known_of_them(database: Database, store: ArchiveStore):
    await store.write(
        [event("user:bob", at(1), type="paid", published=1_700_000_000_000_001, expires=1_700_000_009_000)]
    )
    async with database.reading() as connection:
        (row,) = (await connection.execute(text("SELECT * FROM inbox_notification"))).mappings()
    assert dict(row) == {
        "audience": "user:bob",
        "epoch": at(1).epoch,
        "n": 1,
        "type": "paid",
        "content": '{"type": "paid", "id": "u.Ym9i.1795475748123-1"}',
        "published_at": 1_700_000_000_000_001,
        "expires_at": 1_700_000_009_000,
        "is_read": False,
    }


async def test_what_is_there_is_not_written_again(database: Database, store: ArchiveStore):
    first = await store.write(events("all", range(1, 6)))
    again = await store.write(events("all", range(1, 8)))
    assert (first.archived, first.repeated) == (5, 0)
    assert (again.archived, again.repeated) == (2, 5)
    assert await rows(database, "all") == [at(n) for n in range(1, 8)]


async def test_the_same_position_of_another_epoch_is_another_event(database: Database, store: ArchiveStore):
    await store.write([event("all", at(1)), event("all", at(1, epoch=at(1).epoch + 1))])
    assert len(await rows(database, "all")) == 2


async def test_many_who_write_the_same_at_once_write_it_once(database: Database, store: ArchiveStore):
    """Routers that were paused, and think that it is their turn."""
    some = events("user:bob", range(1, 300)) + events("all", range(1, 300)) + events("user:eve", range(1, 300))
    outcomes = await asyncio.gather(*(store.write(list(some)) for _ in range(6)))
    assert sum(outcome.archived for outcome in outcomes) == len(some)
    assert [len(await rows(database, audience)) for audience in ("user:bob", "user:eve", "all")] == [299] * 3


async def test_a_poisoned_event_is_refused_by_itself_with_the_databases_reason(database: Database, store: ArchiveStore):
    await refuse_poison(database)
    some = events("all", range(1, 100))
    some[17], some[63] = event("all", at(18), type="poison"), event("all", at(64), type="poison")
    written = await store.write(some)
    assert [(refused.row or {})["n"] for refused, _ in written.refused] == [18, 64]
    assert all("poison" in reason for _, reason in written.refused)
    assert (written.archived, len(await rows(database, "all"))) == (97, 97)


async def test_a_number_that_the_database_cannot_hold_is_refused_by_itself(database: Database, store: ArchiveStore):
    written = await store.write([event("all", at(1)), event("all", at(2), published=2**63), event("all", at(3))])
    assert [(refused.row or {})["n"] for refused, _ in written.refused] == [2]
    assert await rows(database, "all") == [at(1), at(3)]


async def test_what_was_deleted_does_not_come_back_if_it_is_written_again(database: Database, store: ArchiveStore):
    await store.write(events("user:bob", range(1, 4)))
    assert await remove(database, BOB, "user", at(2))
    again = await store.write(events("user:bob", range(1, 4)))
    assert (again.archived, again.repeated) == (0, 3)
    assert await rows(database, "user:bob") == [at(1), at(3)]


async def test_long_audiences_are_summed_up_as_they_grow(database: Database, store: ArchiveStore):
    for start in range(1, 3001, 500):
        await store.write(events("all", range(start, start + 500)))
    sums = await spans(database, "all")
    assert [unread for _, unread in sums] == [1500, 1000]
    assert sums[-1][0] == at(2500)
    assert (await count(database, BOB)).unread["all"] == 3000
