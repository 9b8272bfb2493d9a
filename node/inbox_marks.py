"""Reading and deleting: what a user does to its inbox. Every change raises the user's revision.

Locks are taken in one order everywhere: the user, then audiences, then rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node.inbox_count import Read, read_state
from node.inbox_view import KINDS, Kind, View
from shared.database import Database
from shared.ids import BEGINNING, Position
from shared.inbox_spans import close, lock, take_off
from shared.inbox_sql import at, insert, place
from shared.inbox_tables import UNREAD, Mark, Notification, Reader

Places = Mapping[Kind, set[Position]]


class Marked(NamedTuple):
    """What became of it.

    Attributes:
        changed: what was not read before, or was there to be deleted.
        unknown: is not in the inbox: not yet, or not any more, or never.
    """

    changed: dict[Kind, set[Position]]
    unknown: dict[Kind, set[Position]]


async def mark_read(database: Database, view: View, places: Places) -> Marked:
    """Mark notifications as read. Raises ``DatabaseUnavailable``."""
    changed: dict[Kind, set[Position]] = {}
    unknown: dict[Kind, set[Position]] = {}
    async with database.writing() as connection:
        read = await _lock_user(connection, view.user_id)
        await _lock_audiences(connection, view, places.keys())
        for kind, wanted in places.items():
            known = await _known(connection, view, kind, wanted)
            unknown[kind] = wanted - known
            new = {position for position in known if position > read.up_to[kind]}
            mark = _read_personal if kind == "user" else _read_shared
            changed[kind] = await mark(connection, view, view.audience(kind), new)
        if any(changed.values()):
            await _raise_revision(connection, view.user_id)
    return Marked(changed, unknown)


async def read_up_to(database: Database, view: View, places: Mapping[Kind, Position]) -> bool:
    """Mark everything as read up to a place, in each audience named; return whether that is new.

    What is not written yet but lies before the place will be read when it comes. Raises ``DatabaseUnavailable``.
    """
    async with database.writing() as connection:
        read = await _lock_user(connection, view.user_id)
        new = {kind: position for kind, position in places.items() if position > read.up_to[kind]}
        if new:
            values = {f"read_{kind}": str(position) for kind, position in new.items()}
            await connection.execute(update(Reader).where(Reader.user_id == view.user_id).values(values))
            for kind, position in new.items():
                await _forget_marks(connection, view, kind, position)
            await _raise_revision(connection, view.user_id)
    return bool(new)


async def remove(database: Database, view: View, kind: Kind, position: Position) -> bool:
    """Delete a notification for this user; return whether it was there. Raises ``DatabaseUnavailable``."""
    audience = view.audience(kind)
    async with database.writing() as connection:
        await _lock_user(connection, view.user_id)
        await _lock_audiences(connection, view, [kind])
        delete_it = _delete_personal if kind == "user" else _delete_shared
        there = await delete_it(connection, view, audience, position)
        if there:
            await _raise_revision(connection, view.user_id)
    return there


async def _lock_user(connection: AsyncConnection, user_id: str) -> Read:
    row = {"user_id": user_id, "revision": 0, **{f"read_{kind}": str(BEGINNING) for kind in KINDS}}
    await connection.execute(insert(connection, Reader).values(row).on_conflict_do_nothing())
    return await read_state(connection, user_id, lock=True)


async def _lock_audiences(connection: AsyncConnection, view: View, kinds: Iterable[Kind]) -> None:
    """Lock out the removal of rows, and for the user's own audience also the summing up of spans."""
    for kind in sorted(kinds, key=view.audience):
        await lock(connection, [view.audience(kind)], shared=kind != "user")


async def _raise_revision(connection: AsyncConnection, user_id: str) -> None:
    await connection.execute(update(Reader).where(Reader.user_id == user_id).values(revision=Reader.revision + 1))


async def _known(connection: AsyncConnection, view: View, kind: Kind, wanted: set[Position]) -> set[Position]:
    """Return which of the notifications are in the inbox of this user."""
    found = select(Notification.epoch, Notification.n).where(at(Notification, view.audience(kind), wanted))
    known = {Position(*row) for row in await connection.execute(found)}
    if kind != "user":
        of_user = Mark.user_id == view.user_id, at(Mark, view.audience(kind), wanted)
        deleted = select(Mark.epoch, Mark.n).where(*of_user, Mark.deleted)
        known -= {Position(*row) for row in await connection.execute(deleted)}
    return known


async def _read_personal(
    connection: AsyncConnection, view: View, audience: str, places: set[Position]
) -> set[Position]:
    rows = update(Notification).where(at(Notification, audience, places), UNREAD)
    returned = rows.values(is_read=True).returning(Notification.epoch, Notification.n)
    changed = {Position(*row) for row in await connection.execute(returned)} if places else set()
    await take_off(connection, audience, changed)
    return changed


async def _read_shared(connection: AsyncConnection, view: View, audience: str, places: set[Position]) -> set[Position]:
    rows = [{"user_id": view.user_id, "audience": audience, "epoch": p.epoch, "n": p.n} for p in sorted(places)]
    if not rows:
        return set()
    statement = insert(connection, Mark).on_conflict_do_nothing().returning(Mark.epoch, Mark.n)
    return {Position(*row) for row in await connection.execute(statement, rows)}


async def _forget_marks(connection: AsyncConnection, view: View, kind: Kind, position: Position) -> None:
    """Remove read marks up to a position up to which everything is read; deletions stay."""
    if kind != "user":
        of_user = Mark.user_id == view.user_id, Mark.audience == view.audience(kind)
        marks = delete(Mark).where(*of_user, place(Mark) <= position, ~Mark.deleted)
        await connection.execute(marks)


async def _delete_personal(connection: AsyncConnection, view: View, audience: str, position: Position) -> bool:
    rows = delete(Notification).where(at(Notification, audience, [position]))
    row = (await connection.execute(rows.returning(Notification.is_read))).first()
    if row is None:
        return False
    if not row[0]:
        await take_off(connection, audience, [position])
    # Otherwise an archiver that died after writing it, and repeats that, would bring it back.
    await close(connection, {audience: position})
    return True


async def _delete_shared(connection: AsyncConnection, view: View, audience: str, position: Position) -> bool:
    there = select(Notification.n).where(at(Notification, audience, [position]))
    if (await connection.execute(there)).first() is None:
        return False
    row = {"user_id": view.user_id, "audience": audience, "epoch": position.epoch, "n": position.n, "deleted": True}
    statement = insert(connection, Mark).values(row)
    statement = statement.on_conflict_do_update(
        index_elements=["user_id", "audience", "epoch", "n"], set_={"deleted": True}, where=~Mark.deleted
    )
    return (await connection.execute(statement.returning(Mark.n))).first() is not None
