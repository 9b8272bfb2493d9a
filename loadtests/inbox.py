"""What the inbox costs with a million rows: latencies of list and count with their plans, archive throughput and lag.

    .venv/bin/python -m loadtests.inbox [sqlite | postgresql | postgresql://user@host/database]
        [--rows 1000000] [--plans]

Fills a third of the rows into one user's inbox, a third into everybody's and a third into 10,000 other users', through
the archiver's own store; its throughput is the first figure. Then, in the same process, the median and the slowest of
100 calls of what the HTTP API calls. The database should be an empty one: PostgreSQL's is left full.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvloop
from sqlalchemy import event, text

from loadtests.databases import HELP, database_url
from node import inbox_marks
from node.inbox_count import count
from node.inbox_list import Wanted, list_page
from node.inbox_view import View
from router.archive_batch import EntryId, Event
from router.archive_store import ArchiveStore
from router.inbox_removal import remove_older
from shared.database import Database
from shared.ids import Position
from shared.keys import SHARED_TAG
from shared.schema import migrate

EPOCH = 1795475748123
BATCH = 500
BODY = "Your order has left our warehouse and will be with you on Thursday, 2 October, between 9 and 12. " * 2
ONE = View("7", ("user", "all"))
ADMIN = View("7", ("user", "admin", "all"), is_admin=True)


def events(rows: int) -> Iterator[Event]:
    """Yield events in the order in which they would be archived: streams mixed, each in its order."""
    numbers: dict[str, int] = {}
    for index in range(rows):
        audience = ("user:7", "all", f"user:{1000 + random.randrange(10_000)}")[index % 3]
        n = numbers[audience] = numbers.get(audience, 0) + 1
        kind = "rare" if index % 997 == 0 else "order_status_changed"
        content = json.dumps({"type": kind, "title": "On its way", "body": BODY, "id": f"x.{EPOCH}-{n}"})
        row = {"audience": audience, "epoch": EPOCH, "n": n, "type": kind, "content": content}
        row |= {"published_at": EPOCH * 1000 + index, "expires_at": None}
        yield Event(SHARED_TAG, EntryId(index, index), b"", row)


async def fill(database: Database, rows: int) -> None:
    store, batch = ArchiveStore(database), []
    started, cpu = time.monotonic(), time.process_time()
    for event_ in events(rows):
        batch.append(event_)
        if len(batch) == BATCH:
            await store.write(batch)
            batch = []
    if batch:
        await store.write(batch)
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    print(f"written: {rows} events, {rows / seconds:.0f}/s, {cpu / rows * 1e6:.0f} µs of the archiver's CPU each")


async def timed(name: str, call: Callable[[], Awaitable[Any]], times: int = 100) -> None:
    seconds = []
    for _ in range(times):
        started = time.monotonic()
        await call()
        seconds.append((time.monotonic() - started) * 1000)
    ordered = sorted(seconds)
    most = ordered[int(times * 0.95)]
    print(
        f"{name:55} median {statistics.median(ordered):6.1f} ms   95 % {most:6.1f} ms   slowest {ordered[-1]:6.1f} ms"
    )


async def measure(database: Database) -> None:
    third = Position(EPOCH, 170_000)
    questions: list[tuple[str, Callable[[], Awaitable[Any]]]] = [
        ("count: two audiences of a third each, nothing read", lambda: count(database, ONE)),
        ("count: an admin's three", lambda: count(database, ADMIN)),
        ("list: first page", lambda: list_page(database, ONE, Wanted(30))),
        ("list: from the middle", lambda: list_page(database, ONE, Wanted(30, {"user": third, "all": third}))),
        ("list: a rare type", lambda: list_page(database, ONE, Wanted(30, None, "rare"))),
        ("list: a type that there is not", lambda: list_page(database, ONE, Wanted(30, None, "none"))),
        ("list: unread", lambda: list_page(database, ONE, Wanted(30, None, None, unread=True))),
        ("list: unread of a rare type", lambda: list_page(database, ONE, Wanted(30, None, "rare", unread=True))),
    ]
    for name, question in questions:
        await timed(name, question)
    await inbox_marks.read_up_to(database, ONE, {"user": third, "all": third})
    await timed("count: everything older than the middle read", questions[0][1])
    for start in range(0, 10_000, 500):
        top = 333_000 - start
        await inbox_marks.mark_read(
            database, ONE, {kind: {Position(EPOCH, n) for n in range(top - 500, top)} for kind in ONE.kinds}
        )
    await timed("count: 10,000 of each read one by one besides", questions[0][1])
    await timed("list: unread, those 10,000 on top", questions[6][1])
    one = iter(range(200_000, 300_000))
    await timed(
        "mark one", lambda: inbox_marks.mark_read(database, ONE, {"user": {Position(EPOCH, next(one))}}), times=50
    )
    await timed("mark everything up to a place", lambda: _read_on(database, one), times=50)
    await timed("remove 500 old ones", lambda: remove_older(database, EPOCH * 1000 + 500_000), times=20)


async def _read_on(database: Database, numbers: Iterator[int]) -> None:
    await inbox_marks.read_up_to(database, ONE, {"all": Position(EPOCH, next(numbers))})


async def show_plans(database: Database) -> None:
    """Print the plan of every query that list and count make."""
    statements: list[tuple[str, Any]] = []

    @event.listens_for(database.engine.sync_engine, "before_cursor_execute")
    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        statements.append((statement, parameters))

    await count(database, ONE)
    await list_page(database, ONE, Wanted(30))
    await list_page(database, ONE, Wanted(30, None, "rare", unread=True))
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) "
    async with database.engine.connect() as connection:
        for statement, parameters in statements:
            if not statement.lstrip().startswith(("SELECT", "(SELECT")):
                continue
            print(f"\n{statement}\n")
            rows = await connection.exec_driver_sql(explain + statement, parameters)
            print("\n".join(f"    {row[-1]}" for row in rows))


async def run(options: argparse.Namespace) -> None:
    async with database_url(options.database) as url, Database(url, name="loadtest", timeout=60) as database:
        await migrate(database)
        await fill(database, options.rows)
        if not database.is_sqlite:
            async with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                await connection.execute(
                    text("VACUUM ANALYZE inbox_notification")
                )  # as autovacuum would within a minute
        await measure(database)
        if options.plans:
            await show_plans(database)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", nargs="?", default="sqlite", help=HELP)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--plans", action="store_true", help="print the plans of list and count")
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
