"""Lists of notifications, newest first, a page at a time.

An inbox merges up to three streams: the user's own, everybody's, and for admins the admins'. Events of a stream are
only ever added at its end, so a cursor that is a position in each stream neither misses nor repeats one, whatever is
added meanwhile. Between streams the time of publication decides.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, cast, literal, null, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from node.inbox_count import Read, read_state
from node.inbox_view import KINDS, Kind, View
from shared.database import Database
from shared.ids import BEGINNING, Position
from shared.inbox_sql import after, place
from shared.inbox_tables import UNREAD, Mark, Notification, kept_type

_N: Final = Notification


class Item(NamedTuple):
    """A notification as one user sees it; ``content`` is its JSON, times are µs and ms."""

    kind: Kind
    position: Position
    published_at: int
    expires_at: int | None
    read: bool
    type: str
    content: str


class Page(NamedTuple):
    """Notifications, and the places below which the next page begins; None if there is none."""

    items: list[Item]
    below: dict[Kind, Position] | None


class Wanted(NamedTuple):
    """What is to be listed."""

    limit: int
    below: Mapping[Kind, Position] | None = None
    type: str | None = None
    unread: bool = False


Head = tuple[Position, int]  # a notification's place, and when it was published


async def list_page(database: Database, view: View, wanted: Wanted) -> Page:
    """Return a page. Raises ``DatabaseUnavailable``."""
    async with database.reading() as connection:
        read = await read_state(connection, view.user_id)
        query = _Query(view, read, wanted)
        # Keys first, contents afterwards: otherwise up to three times as many contents, of up to 64 KiB, were read.
        heads = await query.heads(connection)
        chosen = _newest(view, heads, wanted.limit)
        items = await query.items(connection, Counter(chosen))
    more = sum(map(len, heads.values())) > len(chosen)
    ordered = [items[kind].pop(0) for kind in chosen]
    return Page(ordered, _below(view, wanted, heads, ordered) if more else None)


def _newest(view: View, heads: Mapping[Kind, Sequence[Head]], limit: int) -> list[Kind]:
    """Return from which stream each item of the page is taken: always the one whose next item was published last."""
    taken = dict.fromkeys(view.kinds, 0)
    chosen: list[Kind] = []
    while len(chosen) < limit:
        left = [kind for kind in view.kinds if taken[kind] < len(heads[kind])]
        if not left:
            break
        kind = max(left, key=lambda kind: heads[kind][taken[kind]][1])
        taken[kind] += 1
        chosen.append(kind)
    return chosen


def _below(
    view: View, wanted: Wanted, heads: Mapping[Kind, Sequence[Head]], items: Sequence[Item]
) -> dict[Kind, Position]:
    """Return where the next page begins, in every stream; events that come later belong to no page of this list."""
    below: dict[Kind, Position] = {}
    for kind in view.kinds:
        newest = heads[kind][0][0] if heads[kind] else BEGINNING
        before = wanted.below.get(kind) if wanted.below is not None else None
        below[kind] = before or Position(newest.epoch, newest.n + 1)
    for item in items:
        below[item.kind] = item.position
    return below


class _Query:
    """One query in two forms: for positions alone, and for the rows of the chosen ones."""

    def __init__(self, view: View, read: Read, wanted: Wanted) -> None:
        self._view, self._read, self._wanted = view, read, wanted
        self._now = int(time.time() * 1000)

    async def heads(self, connection: AsyncConnection) -> dict[Kind, list[Head]]:
        limits = dict.fromkeys(self._view.kinds, self._wanted.limit + 1)
        heads: dict[Kind, list[Head]] = {kind: [] for kind in limits}
        for index, epoch, n, published_at in await self._ask(connection, limits, whole=False):
            heads[KINDS[index]].append((Position(epoch, n), published_at))
        return {kind: sorted(found, reverse=True)[: limits[kind]] for kind, found in heads.items()}

    async def items(self, connection: AsyncConnection, limits: Mapping[Kind, int]) -> dict[Kind, list[Item]]:
        """Return the first notifications of each stream."""
        items: dict[Kind, list[Item]] = {kind: [] for kind in limits}
        for index, epoch, n, published_at, *rest in await self._ask(connection, limits, whole=True):
            expires_at, is_read, mark, name, content = rest
            kind, position = KINDS[index], Position(epoch, n)
            read = is_read or mark is not None or position <= self._read.up_to[kind]
            items[kind].append(Item(kind, position, published_at, expires_at, read, name, content))
        newest_first = {
            kind: sorted(found, key=lambda item: item.position, reverse=True) for kind, found in items.items()
        }
        return {kind: found[: limits[kind]] for kind, found in newest_first.items()}

    async def _ask(self, connection: AsyncConnection, limits: Mapping[Kind, int], *, whole: bool) -> Sequence[Any]:
        parts = [
            part.limit(limit).subquery() for kind, limit in limits.items() for part in self._parts(kind, whole=whole)
        ]
        if not parts:
            return []
        return (await connection.execute(union_all(*(select(part) for part in parts)))).all()

    def _parts(self, kind: Kind, *, whole: bool) -> list[Select[Any]]:
        """Return the queries of one stream, newest first; each is asked for as many as all together."""
        query = self._query(kind, whole=whole)
        if not self._wanted.unread:
            return [query]
        return [query.where(UNREAD, some) for some in after(_N, self._read.up_to[kind])]

    def _query(self, kind: Kind, *, whole: bool) -> Select[Any]:
        wanted = self._wanted
        mark = self._mark(kind)
        columns: list[Any] = [literal(KINDS.index(kind)).label("kind"), _N.epoch, _N.n, _N.published_at]
        if whole:
            columns += [_N.expires_at, _N.is_read, mark.label("mark"), _N.type, _N.content]
        query = select(*columns).where(_N.audience == self._view.audience(kind))
        query = query.where(or_(_N.expires_at.is_(None), _N.expires_at > self._now))
        if wanted.below is not None:
            query = query.where(place(_N) < wanted.below[kind])
        if wanted.type is not None:
            query = query.where(_N.type == kept_type(wanted.type))
        if kind != "user":
            query = query.where(mark.is_(None) if wanted.unread else mark.is_not(True))
        return query.order_by(_N.epoch.desc(), _N.n.desc())

    def _mark(self, kind: Kind) -> Any:
        """Return SQL for whether the user has deleted a shared notification; NULL: neither deleted nor marked as read.

        A subquery is looked up row by row. A join is left to the planner, which knows nothing of the one user who has
        marked ten thousand, and would go through all of them for each row.
        """
        if kind == "user":
            return cast(null(), Mark.deleted.type)
        of_row = Mark.epoch == _N.epoch, Mark.n == _N.n
        marks = select(Mark.deleted).where(
            Mark.user_id == self._view.user_id, Mark.audience == self._view.audience(kind)
        )
        return marks.where(*of_row).correlate(_N).scalar_subquery()
