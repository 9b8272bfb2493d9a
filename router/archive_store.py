"""Writes events to the inbox's database: in batches, each at most once; invalid ones are isolated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncConnection

from router.archive_batch import Event
from shared.database import Database
from shared.errors import DataRefused
from shared.ids import Position
from shared.inbox_spans import SPAN, closed, lock, sum_up
from shared.inbox_sql import at, insert
from shared.inbox_tables import Notification


@dataclass(slots=True)
class Written:
    """What became of events.

    Attributes:
        archived: are in the database now, and were not before.
        repeated: had been there before.
        refused: will never be, and why.
    """

    archived: int = 0
    repeated: int = 0
    refused: list[tuple[Event, str]] = field(default_factory=list)


class ArchiveStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, events: Sequence[Event]) -> Written:
        """Write events in their order.

        A refused batch is written in halves, down to the one that is refused: the others are not to suffer for it.

        Raises:
            DatabaseUnavailable: some may have been written; writing them again does no harm.
        """
        written = Written()
        await self._write(events, written)
        return written

    async def _write(self, events: Sequence[Event], written: Written) -> None:
        readable = [event for event in events if event.row is not None]
        written.refused += [(event, event.reason) for event in events if event.row is None]
        if not readable:
            return
        try:
            archived = await self._write_rows([event.row for event in readable if event.row is not None])
        except DataRefused as exc:
            if len(readable) == 1:
                written.refused.append((readable[0], str(exc)))
                return
            middle = len(readable) // 2
            await self._write(readable[:middle], written)
            await self._write(readable[middle:], written)
            return
        written.archived += archived
        written.repeated += len(readable) - archived

    async def _write_rows(self, rows: list[dict[str, Any]]) -> int:
        # In a fixed order, so that two routers that write the same rows cannot deadlock.
        rows.sort(key=lambda row: (row["audience"], row["epoch"], row["n"]))
        async with self._database.writing() as connection:
            statement = insert(connection, Notification).on_conflict_do_nothing()
            returned = statement.returning(Notification.audience, Notification.epoch, Notification.n)
            added: dict[str, list[Position]] = {}
            for audience, epoch, n in await connection.execute(returned, rows):
                added.setdefault(audience, []).append(Position(epoch, n))
            if added:
                await _take_back(connection, added)
                await _sum_up(connection, added)
        return sum(map(len, added.values()))


async def _take_back(connection: AsyncConnection, added: dict[str, list[Position]]) -> None:
    """Remove events that were in the inbox before and have been removed since, by a user or because they expired.

    After the rows were added, not before: a removal that commits in between is seen here.
    """
    for audience, end in (await closed(connection, added.keys())).items():
        if back := [position for position in added[audience] if position <= end]:
            await connection.execute(delete(Notification).where(at(Notification, audience, back)))
            added[audience] = [position for position in added[audience] if position > end]


async def _sum_up(connection: AsyncConnection, added: dict[str, list[Position]]) -> None:
    """Add a span to the audiences that have grown by about as much: their events are numbered."""
    due = {audience: max(places) for audience, places in added.items() if any(p.n % SPAN == 0 for p in places)}
    if due:
        await lock(connection, due.keys())
        for audience, end in due.items():
            await sum_up(connection, audience, end)
