"""What is in an inbox's database, read row by row, and events for it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import select

from node.inbox_view import View
from router.archive_batch import EntryId, Event
from shared.database import Database
from shared.ids import Position, event_id
from shared.inbox_tables import Notification, Span, stream_of
from shared.keys import SHARED_TAG

EPOCH = 1795475748123
BOB = View("bob", ("user", "all"))
EVE = View("eve", ("user", "all"))
ANN = View("ann", ("user", "admin", "all"), is_admin=True)


def at(n: int, epoch: int = EPOCH) -> Position:
    return Position(epoch, n)


def event(
    audience: str, position: Position, *, type: str = "note", published: int = 0, expires: int | None = None
) -> Event:
    """Return an event as the archive holds it; ``published`` in µs, by default in the order of positions."""
    name = event_id(stream_of(audience), position)
    row = {
        "audience": audience,
        "epoch": position.epoch,
        "n": position.n,
        "type": type,
        "content": json.dumps({"type": type, "id": name}),
        "published_at": published or position.epoch * 1000 + position.n,
        "expires_at": expires,
    }
    return Event(SHARED_TAG, EntryId(position.n, position.n), name.encode(), row)


def events(audience: str, numbers: Iterable[int], **fields: Any) -> list[Event]:
    return [event(audience, at(n), **fields) for n in numbers]


async def rows(database: Database, audience: str) -> list[Position]:
    """Return which events of an audience are there, in order."""
    async with database.reading() as connection:
        found = select(Notification.epoch, Notification.n).where(Notification.audience == audience)
        return sorted(Position(*row) for row in await connection.execute(found))


async def spans(database: Database, audience: str) -> list[tuple[Position, int]]:
    async with database.reading() as connection:
        found = select(Span.epoch, Span.n, Span.unread).where(Span.audience == audience)
        return sorted((Position(epoch, n), unread) for epoch, n, unread in await connection.execute(found))


@asynccontextmanager
async def locked(url: str) -> AsyncIterator[None]:
    """Hold the table, or the file, as somebody who repairs something by hand might."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.close()
        return
    holder = await asyncpg.connect(url)
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("LOCK TABLE inbox_notification, inbox_reader")
    yield
    await transaction.rollback()
    await holder.close()
