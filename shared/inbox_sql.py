"""SQL expressions for positions and rows that both databases answer from their indexes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import groupby
from typing import Any

from sqlalchemy import and_, false, or_, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.ids import Position


def place(table: Any) -> Any:
    """Return a row's place in its stream, to be compared with a position as one value."""
    return tuple_(table.epoch, table.n)


def after(table: Any, position: Position) -> list[Any]:
    """Return conditions that together hold for all places after a position, each for some of them: newer ones first.

    PostgreSQL finds where a comparison of pairs begins, but not where it ends: it would read on to the audience's end.
    """
    return [table.epoch > position.epoch, and_(table.epoch == position.epoch, table.n > position.n)]


def between(table: Any, start: Position, end: Position) -> list[Any]:
    """Return such conditions for the places after one position up to another."""
    if start.epoch == end.epoch:
        return [and_(table.epoch == end.epoch, table.n > start.n, table.n <= end.n)]
    return [
        and_(table.epoch == end.epoch, table.n <= end.n),
        and_(table.epoch > start.epoch, table.epoch < end.epoch),
        and_(table.epoch == start.epoch, table.n > start.n),
    ]


def at(table: Any, audience: str, places: Collection[Position]) -> Any:
    """Return the condition that a row is one of an audience's at these places.

    By epoch, and not as a list of pairs: for pairs SQLite reads the whole audience.
    """
    epochs = groupby(sorted(places), key=lambda position: position.epoch)
    of_epochs = [and_(table.epoch == epoch, table.n.in_([p.n for p in those])) for epoch, those in epochs]
    return and_(table.audience == audience, or_(false(), *of_epochs))


def any_of(table: Any, keys: Iterable[tuple[str, int, int]]) -> Any:
    """Return the condition that a row is one of those whose audience, epoch and n are given."""
    audiences = groupby(sorted(keys), key=lambda key: key[0])
    return or_(false(), *(at(table, name, [Position(*key[1:]) for key in those]) for name, those in audiences))


def insert(connection: AsyncConnection, table: Any) -> Any:
    """Return an INSERT of the connection's dialect, which knows ON CONFLICT."""
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
