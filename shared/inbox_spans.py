"""Counts a million rows by reading a few: spans of a long audience, each with the number of its unread rows.

Spans cover an audience from its beginning to a position near its end, without gaps: each one reaches from the end of
the one before it to its own position. So the unread rows after any position are those in the rest of its span
(counted), plus the sums of all later spans, plus those after the last span (counted). Every change of a row changes the
sum of its span in the same transaction.

Whoever adds a span, or changes rows that may lie in one, first locks the audience (``lock``). Otherwise a row that is
read while its span is being summed up would be counted for ever.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import bindparam, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.ids import BEGINNING, Position
from shared.inbox_sql import insert, place
from shared.inbox_tables import Notification, Span, Stream

SPAN: Final = 1024  # rows between two spans' ends


async def lock(connection: AsyncConnection, audiences: Collection[str], *, shared: bool = False) -> None:
    """Lock audiences until the transaction ends, always in the same order; ``shared``: with others who only read it."""
    rows = [{"audience": audience, "closed_epoch": 0, "closed_n": 0} for audience in sorted(audiences)]
    await connection.execute(insert(connection, Stream).on_conflict_do_nothing(), rows)
    names = [row["audience"] for row in rows]
    locked = select(Stream.audience).where(Stream.audience.in_(names)).order_by(Stream.audience)
    await connection.execute(locked.with_for_update(read=shared))


async def close(connection: AsyncConnection, up_to: Mapping[str, Position]) -> None:
    """Take note that nothing is added to audiences up to a place any more. They are locked."""
    if up_to:
        await connection.execute(
            _CLOSE, [{"name": audience, "to_epoch": at.epoch, "to_n": at.n} for audience, at in up_to.items()]
        )


_CLOSE: Final = (
    update(Stream)
    .where(
        Stream.audience == bindparam("name"),
        tuple_(Stream.closed_epoch, Stream.closed_n) < tuple_(bindparam("to_epoch"), bindparam("to_n")),
    )
    .values(closed_epoch=bindparam("to_epoch"), closed_n=bindparam("to_n"))
)


async def closed(connection: AsyncConnection, audiences: Collection[str]) -> dict[str, Position]:
    """Return up to where nothing is added to audiences; those of which nothing is known are left out."""
    found = select(Stream.audience, Stream.closed_epoch, Stream.closed_n).where(Stream.audience.in_(audiences))
    return {audience: Position(epoch, n) for audience, epoch, n in await connection.execute(found)}


async def sum_up(connection: AsyncConnection, audience: str, end: Position) -> None:
    """Add a span up to a place, the newest row's. The audience is locked."""
    last = await newest_end(connection, audience)
    new = (Notification.audience == audience, place(Notification) > last, place(Notification) <= end)
    rows, unread = (
        await connection.execute(select(func.count(), func.count().filter(Notification.is_read.is_(False))).where(*new))
    ).one()
    if rows:
        row = {"audience": audience, "epoch": end.epoch, "n": end.n, "unread": unread}
        await connection.execute(insert(connection, Span).values(row))
        await close(connection, {audience: end})


async def newest_end(connection: AsyncConnection, audience: str) -> Position:
    ends = select(Span.epoch, Span.n).where(Span.audience == audience)
    row = (await connection.execute(ends.order_by(Span.epoch.desc(), Span.n.desc()).limit(1))).first()
    return Position(*row) if row is not None else BEGINNING


async def take_off(connection: AsyncConnection, audience: str, places: Collection[Position]) -> None:
    """Take rows off the sums of their spans: they are read now, or gone. The audience is locked."""
    if not places:
        return
    later = select(Span.epoch, Span.n).where(Span.audience == audience, place(Span) >= min(places))
    ends = [Position(*row) for row in await connection.execute(later.order_by(Span.epoch, Span.n))]
    touched = Counter(bisect_left(ends, position) for position in places)
    for index, count in sorted(touched.items()):
        if index < len(ends):  # else it lies after the last span
            await connection.execute(
                update(Span)
                .where(Span.audience == audience, place(Span) == ends[index])
                .values(unread=Span.unread - count)
            )
