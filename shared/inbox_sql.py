"""How places and rows are named in SQL, in words for which both databases use their indexes."""

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
