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
from typing import Any, Final

from sqlalchemy import func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from node.inbox_view import KINDS, Kind, View
from shared.database import Database
from shared.ids import BEGINNING, Position
from shared.inbox_spans import place
from shared.inbox_tables import UNREAD, Mark, Notification, Reader, Span, Stream


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
    """Count what is not read. Raises ``DatabaseUnavailable``."""
    async with database.reading() as connection:
        read = await read_state(connection, view.user_id)
        columns: list[Any] = []
        for kind in view.kinds:
            spans = await _spans_after(connection, view.audience(kind), read.up_to[kind])
            columns += _columns(view, kind, read.up_to[kind], spans)
        row = (await connection.execute(select(*columns))).one()
    unread: dict[Kind, int] = {}
    as_of: dict[Kind, Position] = {}
    for index, kind in enumerate(view.kinds):
        unread[kind], epoch, n, closed_epoch, closed_n = row[index * 5 : index * 5 + 5]
        as_of[kind] = max(Position(epoch or 0, n or 0), Position(closed_epoch or 0, closed_n or 0))
    return Tally(unread, as_of, read.revision)


async def read_state(connection: AsyncConnection, user_id: str, *, lock: bool = False) -> Read:
    """Return what a user has read; ``lock``: until the transaction ends, nobody else changes it."""
    found = select(Reader.revision, Reader.read_user, Reader.read_admin, Reader.read_all)
    found = found.where(Reader.user_id == user_id)
    row = (await connection.execute(found.with_for_update() if lock else found)).first()
    return NOTHING if row is None else Read(row[0], dict(zip(KINDS, map(Position.parse, row[1:]), strict=True)))


async def _spans_after(connection: AsyncConnection, audience: str, position: Position) -> list[tuple[Position, int]]:
    spans = select(Span.epoch, Span.n, Span.unread).where(Span.audience == audience, place(Span) > position)
    rows = await connection.execute(spans.order_by(Span.epoch, Span.n))
    return [(Position(epoch, n), unread) for epoch, n, unread in rows]


def _columns(view: View, kind: Kind, after: Position, spans: list[tuple[Position, int]]) -> list[Any]:
    """Return five columns: the unread rows, the place of the newest row, and where the audience is closed."""
    audience = view.audience(kind)
    of_audience = Notification.audience == audience
    unread: Any = literal(sum(count for _, count in spans[1:]))
    unread += _rows(of_audience, place(Notification) > (spans[-1][0] if spans else after))
    if spans:
        unread += _rows(of_audience, place(Notification) > after, place(Notification) <= spans[0][0])
    over = Notification.expires_at <= int(time.time() * 1000)
    if kind == "user":
        unread -= _rows(of_audience, place(Notification) > after, over)
    else:
        marks = select(func.count()).where(Mark.user_id == view.user_id, Mark.audience == audience, place(Mark) > after)
        unread -= _rows(of_audience, place(Notification) > after, over, ~marked(view.user_id))
        unread -= marks.scalar_subquery()
    newest = select(Notification.epoch, Notification.n).where(of_audience)
    newest = newest.order_by(Notification.epoch.desc(), Notification.n.desc()).limit(1)
    closed = Stream.audience == audience
    return [
        unread,
        newest.with_only_columns(Notification.epoch).scalar_subquery(),
        newest.with_only_columns(Notification.n).scalar_subquery(),
        select(Stream.closed_epoch).where(closed).scalar_subquery(),
        select(Stream.closed_n).where(closed).scalar_subquery(),
    ]


def _rows(*conditions: Any) -> Any:
    return select(func.count()).select_from(Notification).where(UNREAD, *conditions).scalar_subquery()


def marked(user_id: str) -> Any:
    """Return the condition that a notification of a shared audience is marked by a user."""
    return (
        select(literal(1))
        .where(
            Mark.user_id == user_id,
            Mark.audience == Notification.audience,
            Mark.epoch == Notification.epoch,
            Mark.n == Notification.n,
        )
        .correlate(Notification)
        .exists()
    )
