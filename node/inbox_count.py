"""How many notifications a user has not read: exactly, and the same whether there are ten or a million.

A personal one is read if it lies at or before the place up to which its user has read everything, or is marked itself;
one of a shared audience likewise, with the user's marks in a table of their own.

    unread = spans after the place  +  rows of the span that the place lies in  +  rows after the last span
             -  those of them that are marked  -  those whose time is over and that nobody has removed yet
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, func, literal, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from node.inbox_view import KINDS, Kind, View
from shared.database import Database
from shared.ids import BEGINNING, Position
from shared.inbox_sql import between, place
from shared.inbox_tables import EXPIRY_INDEX, UNREAD, Mark, Notification, Reader, Span, Stream


@dataclass(frozen=True, slots=True)
class Read:
    """What a user has read.

    Attributes:
        revision: rises with every change.
        up_to: the place up to which everything is read, per audience.
    """

    revision: int
    up_to: Mapping[Kind, Position]


NOTHING: Final = Read(0, dict.fromkeys(KINDS, BEGINNING))


@dataclass(frozen=True, slots=True)
class Tally:
    """A count, and what it knew.

    Attributes:
        as_of: the newest place that was counted, per audience; what was heard after it is not in ``unread``.
        revision: of what the user has read.
    """

    unread: Mapping[Kind, int]
    as_of: Mapping[Kind, Position]
    revision: int


async def count(database: Database, view: View) -> Tally:
    """Count unread notifications. Raises ``DatabaseUnavailable``."""
    async with database.reading() as connection:
        read = await read_state(connection, view.user_id)
        spans = await _spans_after(connection, view, read)
        parts = [_part(view, kind, read.up_to[kind], spans[kind]) for kind in view.kinds]
        rows = (await connection.execute(union_all(*parts))).all()
    unread: dict[Kind, int] = {}
    as_of: dict[Kind, Position] = {}
    for index, others, epoch, n, closed_epoch, closed_n in rows:
        kind = KINDS[index]
        unread[kind] = spans[kind].sum + others
        as_of[kind] = max(Position(epoch or 0, n or 0), Position(closed_epoch or 0, closed_n or 0))
    return Tally(unread, as_of, read.revision)


async def read_state(connection: AsyncConnection, user_id: str, *, lock: bool = False) -> Read:
    """Return what a user has read; with ``lock`` nobody else can change it until the transaction ends."""
    found = select(Reader.revision, Reader.read_user, Reader.read_admin, Reader.read_all)
    found = found.where(Reader.user_id == user_id)
    row = (await connection.execute(found.with_for_update() if lock else found)).first()
    return NOTHING if row is None else Read(row[0], dict(zip(KINDS, map(Position.parse, row[1:]), strict=True)))


class _Spans(NamedTuple):
    """The spans that end after a place.

    Attributes:
        first: where the one ends in which the place lies; None if there are no spans after it.
        last: where the last one ends.
        sum: the unread rows of all but the first.
    """

    first: Position | None
    last: Position
    sum: int


async def _spans_after(connection: AsyncConnection, view: View, read: Read) -> dict[Kind, _Spans]:
    parts = []
    for kind in view.kinds:
        after = select(Span).where(Span.audience == view.audience(kind), place(Span) > read.up_to[kind])
        first = after.order_by(Span.epoch, Span.n).limit(1)
        last = after.order_by(Span.epoch.desc(), Span.n.desc()).limit(1)
        columns = [literal(KINDS.index(kind)), *_each(first, Span.epoch, Span.n, Span.unread)]
        columns += [*_each(last, Span.epoch, Span.n), *_each(after, func.sum(Span.unread))]
        parts.append(select(*columns))
    spans: dict[Kind, _Spans] = {kind: _Spans(None, read.up_to[kind], 0) for kind in view.kinds}
    for index, epoch, n, unread, last_epoch, last_n, total in await connection.execute(union_all(*parts)):
        if total is not None:
            first_end, last_end = Position(epoch, n), Position(last_epoch, last_n)
            spans[KINDS[index]] = _Spans(first_end, last_end, int(total) - unread)
    return spans


def _part(view: View, kind: Kind, after: Position, spans: _Spans) -> Select[Any]:
    """Return one audience's row: unread rows outside of whole spans, the newest row's place, where all is closed."""
    audience = view.audience(kind)
    rows = select(func.count()).select_from(Notification).where(Notification.audience == audience, UNREAD)
    unread: Any = rows.where(place(Notification) > spans.last).scalar_subquery()
    if spans.first is not None:
        for some in between(Notification, after, spans.first):
            unread += rows.where(some).scalar_subquery()
    # Expired rows are few, since they are removed all the time; so their index is the one to use, and not that of the
    # audience, which databases would choose. "+ 0" makes the latter unusable; SQLite is told by name besides.
    unindexed = tuple_(Notification.epoch + 0, Notification.n + 0)
    over = rows.where(unindexed > after, Notification.expires_at <= int(time.time() * 1000))
    over = over.with_hint(Notification, f"INDEXED BY {EXPIRY_INDEX}", "sqlite")
    if kind != "user":
        of_user = Mark.user_id == view.user_id, Mark.audience == audience
        unread -= select(func.count()).where(*of_user, place(Mark) > after).scalar_subquery()
        marked = select(literal(1)).where(*of_user, Mark.epoch == Notification.epoch, Mark.n == Notification.n)
        over = over.where(~marked.correlate(Notification).exists())
    newest = select(Notification).where(Notification.audience == audience)
    newest = newest.order_by(Notification.epoch.desc(), Notification.n.desc()).limit(1)
    closed = select(Stream).where(Stream.audience == audience)
    return select(
        literal(KINDS.index(kind)),
        unread - over.scalar_subquery(),
        *_each(newest, Notification.epoch, Notification.n),
        *_each(closed, Stream.closed_epoch, Stream.closed_n),
    )


def _each(query: Select[Any], *columns: Any) -> list[Any]:
    """Return a query of one row as a subquery for each of its columns."""
    return [query.with_only_columns(column).scalar_subquery() for column in columns]
