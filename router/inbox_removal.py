"""Deletes notifications from the inbox: expired ones, old ones, or all of one user.

In small chunks, each a transaction: no row is locked for long, and a process that dies leaves nothing half done.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database import Database
from shared.ids import Position
from shared.inbox_spans import close, lock, take_off
from shared.inbox_sql import any_of, place
from shared.inbox_tables import Mark, Notification, Reader, Span, audience_of_user

CHUNK: Final = 400  # rows; SQLite takes no condition of more than 1,000 parts

_KEY: Final = (Notification.audience, Notification.epoch, Notification.n)


async def remove_expired(database: Database, now_ms: int) -> int:
    """Remove a chunk of expired notifications; return how many. Raises ``DatabaseUnavailable``."""
    return await _remove(database, Notification.expires_at, now_ms)


async def remove_older(database: Database, published_us: int) -> int:
    """Remove a chunk of notifications published before a time; return how many. Raises ``DatabaseUnavailable``."""
    return await _remove(database, Notification.published_at, published_us)


async def erase_user(database: Database, user: str, top: Position) -> int:
    """Remove all of a user: notifications, and what it has read of the shared ones; return how many rows.

    Args:
        top: the newest place of the user's stream: what waits in Redis up to there is not written any more.

    Raises:
        DatabaseUnavailable: some of it may be left; doing it again removes that, too.
    """
    audience = audience_of_user(user)
    async with database.writing() as connection:
        await lock(connection, [audience])
        await close(connection, {audience: top})
        await connection.execute(delete(Span).where(Span.audience == audience))
        await connection.execute(delete(Reader).where(Reader.user_id == user))
    await _let_writers_end(database)
    rows = 0
    for table, condition in ((Mark, Mark.user_id == user), (Notification, Notification.audience == audience)):
        rows += await _erase(database, audience, table, condition)
    return rows


async def _let_writers_end(database: Database) -> None:
    """Return once all transactions have ended that began before the last commit.

    Whoever adds events looks, after it has added them, up to where their audience is closed. One that looked a moment
    too early would commit its rows when all the others have been removed already.
    """
    if database.is_sqlite:
        return  # writers come one after another
    async with database.writing() as connection:
        await connection.execute(text(f"LOCK TABLE {Notification.__tablename__} IN SHARE MODE"))


async def _erase(database: Database, audience: str, table: Any, condition: Any) -> int:
    key = (table.audience, table.epoch, table.n)
    rows = 0
    while True:
        async with database.writing() as connection:
            await lock(connection, [audience])
            some = (await connection.execute(select(*key).where(condition).limit(CHUNK))).all()
            if some:
                await connection.execute(delete(table).where(condition, any_of(table, map(tuple, some))))
        rows += len(some)
        if len(some) < CHUNK:
            return rows


async def _remove(database: Database, time: Any, until: int) -> int:
    """Remove rows whose time has come, the first ones first."""
    async with database.writing() as connection:
        first = select(Notification.audience, time).where(time <= until).order_by(time).limit(CHUNK)
        due = (await connection.execute(first)).all()
        if not due:
            return 0
        audiences = sorted({audience for audience, _ in due})
        await lock(connection, audiences)
        # SQLite has to use the index by time here, not that of the audiences (hence the + ""). With expiry it is the
        # other way round: many notifications may expire at the same moment.
        whose = Notification.audience if time is Notification.expires_at else Notification.audience + ""
        gone = delete(Notification).where(time <= due[-1][1], whose.in_(audiences))
        rows = (await connection.execute(gone.returning(*_KEY, Notification.is_read))).all()
        newest: dict[str, Position] = {}
        unread: defaultdict[str, list[Position]] = defaultdict(list)
        for audience, epoch, n, is_read in rows:
            position = Position(epoch, n)
            newest[audience] = max(newest.get(audience, position), position)
            if not is_read:
                unread[audience].append(position)
        await close(connection, newest)
        for audience in await _with_spans(connection, audiences):
            await take_off(connection, audience, unread[audience])
            await _drop_empty_spans(connection, audience)
    return len(rows)


async def _with_spans(connection: AsyncConnection, audiences: Collection[str]) -> list[str]:
    found = select(Span.audience).where(Span.audience.in_(audiences)).distinct().order_by(Span.audience)
    return list(await connection.scalars(found))


async def _drop_empty_spans(connection: AsyncConnection, audience: str) -> None:
    """Remove the spans before the oldest row that is left."""
    rows = select(Notification.epoch, Notification.n).where(Notification.audience == audience)
    oldest = (await connection.execute(rows.order_by(Notification.epoch, Notification.n).limit(1))).first()
    spans = delete(Span).where(Span.audience == audience)
    await connection.execute(spans if oldest is None else spans.where(place(Span) < Position(*oldest)))
