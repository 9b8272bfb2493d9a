"""With many rows, no list and no count reads more of a table than it shows: the databases' own plans say so."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import event, text

from node.inbox_count import count
from node.inbox_list import Wanted, list_page
from node.inbox_marks import mark_read, read_up_to
from router.inbox_removal import remove_expired, remove_older
from shared.database import Database
from shared.schema import migrate
from tests.inbox.shelf import ANN, EPOCH, at
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROWS = 150_000
# Half of it one user's, a quarter everybody's, the rest of ten thousand users; every tenth ends in the year 2100.
FILL = """
INSERT INTO inbox_notification (audience, epoch, n, type, content, published_at, expires_at, is_read)
SELECT CASE WHEN i % 4 < 2 THEN 'user:ann' WHEN i % 4 = 2 THEN 'all' ELSE {user} END,
       {epoch}, i, CASE WHEN i % 1000 = 0 THEN 'rare' ELSE 'note' END, {content}, {epoch} * 1000 + i,
       CASE WHEN i % 10 = 0 THEN 4102444800000 END, {is_read}
FROM {numbers}
"""
SPANS = """
INSERT INTO inbox_span (audience, epoch, n, unread)
SELECT audience, epoch, max(n), count(*) FROM inbox_notification
WHERE audience IN ('user:ann', 'all') GROUP BY audience, epoch, n / 4096
"""


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["sqlite", "postgresql", "sqlite, analysed", "postgresql, analysed"]
)
async def full(
    request: pytest.FixtureRequest, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Database]:
    if request.param.startswith("sqlite"):
        url = f"sqlite:///{tmp_path_factory.mktemp('plans')}/inbox.db"
        numbers = f"(WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {ROWS}) SELECT i FROM s)"
        words = {"user": "'user:' || (i % 10000)", "content": "printf('%0250d', i)", "is_read": "0"}
    else:
        url = await postgres.new_database()
        numbers = f"generate_series(1, {ROWS}) AS i"
        words = {"user": "'user:' || (i % 10000)", "content": "repeat('x', 250)", "is_read": "false"}
    async with Database(url, name="tests", timeout=60) as database:
        await migrate(database)
        async with database.writing() as connection:
            await connection.execute(text(FILL.format(epoch=EPOCH, numbers=numbers, **words)))
            await connection.execute(text(SPANS))
        if request.param.endswith("analysed"):
            async with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                await connection.execute(text("ANALYZE"))
        yield database


class Plans:
    """Notes statements as they are made, and asks the database how it carries them out."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements: list[tuple[str, Any]] = []

    def note(self, _: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if "inbox_notification" in statement:
            self._statements.append((statement, parameters))

    async def steps(self) -> list[str]:
        """Return the steps of all plans that read notifications."""
        steps = []
        async with self._database.engine.connect() as connection:
            for statement, parameters in self._statements:
                explain = "EXPLAIN QUERY PLAN " if self._database.is_sqlite else "EXPLAIN "
                rows = [row[-1] for row in await connection.exec_driver_sql(explain + statement, parameters)]
                steps += [row for row in rows if re.search(r"(SCAN|SEARCH) |Scan|Sort", row)]
            await connection.rollback()
        return steps

    async def pages_read(self) -> int:
        """Return how many pages PostgreSQL touches when it does it again, the most of a statement."""
        pages = []
        async with self._database.engine.connect() as connection:
            for statement, parameters in self._statements:
                explain = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {statement}"
                rows = await connection.exec_driver_sql(explain, parameters)
                found = [re.search(r"Buffers: shared(?: hit=(\d+))?(?: read=(\d+))?", row[0]) for row in rows]
                pages += [int(match[1] or 0) + int(match[2] or 0) for match in found if match]
        return max(pages)


CALLS = (
    lambda database: count(database, ANN),
    lambda database: list_page(database, ANN, Wanted(30)),
    lambda database: list_page(database, ANN, Wanted(30, unread=True)),
)


@pytest.mark.parametrize("read_up_to", [0, ROWS // 2, ROWS - 20], ids=["nothing read", "half read", "nearly all read"])
async def test_what_is_read_of_a_table_does_not_grow_with_the_inbox(full: Database, read_up_to: int):
    """Of 112,500 rows: those of the last spans and of the one in which the place lies, or those of a page."""
    await set_place(full, read_up_to)
    left = len([i for i in range(1, ROWS + 1) if i > read_up_to and i % 4 < 3])
    assert sum((await count(full, ANN)).unread.values()) == left
    assert len((await list_page(full, ANN, Wanted(30, unread=True))).items) == min(30, left)
    if full.is_sqlite:  # which tells how it goes about it, and not how much it reads
        return
    for call in CALLS:
        plans = Plans(full)
        event.listen(full.engine.sync_engine, "before_cursor_execute", plans.note)
        await call(full)
        event.remove(full.engine.sync_engine, "before_cursor_execute", plans.note)
        assert await plans.pages_read() < 600  # the table has 6,000, an index 1,000


async def set_place(database: Database, n: int) -> None:
    """Have Ann read everything up to a place, or forget that she has."""
    async with database.writing() as connection:
        await connection.execute(text("DELETE FROM inbox_reader"))
    if n:
        await read_up_to(database, ANN, dict.fromkeys(ANN.kinds, at(n)))


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("count", lambda database: count(database, ANN)),
        ("list", lambda database: list_page(database, ANN, Wanted(30))),
        ("a later page", lambda db: list_page(db, ANN, Wanted(30, {"user": at(9), "admin": at(9), "all": at(9)}))),
        ("of a type", lambda database: list_page(database, ANN, Wanted(30, type="rare"))),
        ("unread", lambda database: list_page(database, ANN, Wanted(30, unread=True))),
        ("unread of a type", lambda database: list_page(database, ANN, Wanted(30, type="note", unread=True))),
        ("mark", lambda database: mark_read(database, ANN, {"user": {at(1000), at(5001)}, "all": {at(6)}})),
        ("remove what is over", lambda database: remove_expired(database, 5)),
        ("remove what is old", lambda database: remove_older(database, 5)),
    ],
)
async def test_everything_goes_by_an_index(full: Database, name: str, call: Any):
    plans = Plans(full)
    event.listen(full.engine.sync_engine, "before_cursor_execute", plans.note)
    try:
        await call(full)
    finally:
        event.remove(full.engine.sync_engine, "before_cursor_execute", plans.note)
    steps = await plans.steps()
    assert steps, "it reads notifications"
    wholes = [step for step in steps if re.search(r"Seq Scan on inbox_n|SCAN inbox_n|TEMP B-TREE|Sort", step)]
    assert wholes == [], "a table read whole, or sorted"
