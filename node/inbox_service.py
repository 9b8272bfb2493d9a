"""The inbox as one user's devices use it: lists and counts, and changes that all of them learn of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final, NamedTuple

from node import inbox_marks, inbox_notice
from node.history import History
from node.inbox_count import Tally, count
from node.inbox_list import Page, Wanted, list_page
from node.inbox_view import Kind, UnknownNotification, View
from shared.database import Database
from shared.errors import RealtimeError
from shared.ids import Position
from shared.keys import SHARED_TAG, Keys, bucket
from shared.link import Link
from shared.tasks import all_of

_PATIENCE: Final = 3.0  # s for which an event is waited for that was published but is not in the database yet
_LOOK: Final = 0.1  # s

Sets = dict[Kind, set[Position]]


class NotYet(RealtimeError):
    """An event that was published but is not in the database yet."""

    def __str__(self) -> str:
        return "published, but not in the inbox yet"


class Outcome(NamedTuple):
    """What became of a change.

    Attributes:
        changed: ids of what is read or deleted now and was not before.
        unknown: ids of what is not in this inbox.
    """

    tally: Tally
    changed: list[str]
    unknown: list[str]


class InboxService:
    """The inbox's operations. All may raise ``DatabaseUnavailable``, those that read Redis also ``RedisError``."""

    def __init__(self, database: Database, link: Link, keys: Keys, history: History) -> None:
        self._database, self._link, self._keys, self._history = database, link, keys, history

    async def page(self, view: View, wanted: Wanted) -> Page:
        return await list_page(self._database, view, wanted)

    async def count(self, view: View) -> Tally:
        return await count(self._database, view)

    async def read(self, view: View, ids: Iterable[str]) -> Outcome:
        """Mark notifications as read.

        Raises:
            NotYet: one of them was published a moment ago; the others are marked.
        """
        asked = list(dict.fromkeys(ids))
        left, strangers = _places(view, asked)
        changed: Sets = {}
        on_their_way = True
        async for last in self._looks():
            waiting = await self._is_anything_waiting(view)
            marked = await inbox_marks.mark_read(self._database, view, left)
            left = {kind: positions for kind, positions in marked.unknown.items() if positions}
            for kind, positions in marked.changed.items():
                changed.setdefault(kind, set()).update(positions)
            on_their_way = on_their_way and waiting and bool(left)
            if last or not on_their_way:
                break
            on_their_way = await self._are_on_their_way(view, left)
        read = _names(view, changed)
        tally = await self._tell(view, {"read": read} if any(changed.values()) else {})
        if on_their_way:
            raise NotYet
        return Outcome(tally, _flat(read), [*strangers, *_flat(_names(view, left))])

    async def read_up_to(self, view: View, places: Mapping[Kind, Position]) -> Outcome:
        """Mark everything as read up to a place in each audience, and no further than what has been published."""
        tops = await self._tops(view)
        places = {kind: min(position, tops[kind]) for kind, position in places.items()}
        new = await inbox_marks.read_up_to(self._database, view, places)
        names = {kind: [view.name(kind, position)] for kind, position in places.items()}
        return Outcome(await self._tell(view, {"up_to": names} if new else {}), [], [])

    async def read_all(self, view: View) -> Outcome:
        """Mark everything as read that has been published by now."""
        return await self.read_up_to(view, await self._tops(view))

    async def delete(self, view: View, name: str) -> Outcome:
        """Delete a notification for this user.

        Raises:
            UnknownNotification: it is not in this inbox.
            NotYet: it was published a moment ago.
        """
        kind, position = view.find(name)
        on_its_way = True
        async for last in self._looks():
            waiting = await self._is_anything_waiting(view)
            if await inbox_marks.remove(self._database, view, kind, position):
                return Outcome(await self._tell(view, {"deleted": {kind: [name]}}), [name], [])
            if not on_its_way or not waiting:
                break
            if last:
                raise NotYet
            on_its_way = await self._are_on_their_way(view, {kind: {position}})
        raise UnknownNotification(name)

    async def _looks(self) -> AsyncIterator[bool]:
        """Yield once per attempt, for a while; the value says whether it is the last attempt."""
        for _ in range(int(_PATIENCE / _LOOK)):
            yield False
            await asyncio.sleep(_LOOK)
        yield True

    async def _is_anything_waiting(self, view: View) -> bool:
        """Whether events wait to be written. If not, what is not found afterwards will never be there."""
        tags = {self._tag(view, kind) for kind in view.kinds}
        return any(await all_of(*(self._link.send("XLEN", self._keys.archive(tag)) for tag in tags)))

    async def _are_on_their_way(self, view: View, places: Sets) -> bool:
        """Whether any of these is published and not written yet.

        One before the newest row never will be, but may have been written since it was looked for: look once more.
        """
        tally, tops = await self.count(view), await self._tops(view)
        return any(tally.as_of[kind] < place <= tops[kind] for kind, those in places.items() for place in those)

    async def _tops(self, view: View) -> dict[Kind, Position]:
        """Return what has been published: the newest place of every audience."""
        tops: dict[Kind, Position] = {}
        for kind in view.kinds:
            ((tops[kind], _),) = await self._history.tops(self._tag(view, kind), [view.stream(kind)])
        return tops

    def _tag(self, view: View, kind: Kind) -> str:
        return bucket(view.user_id) if kind == "user" else SHARED_TAG

    async def _tell(self, view: View, changes: Mapping[str, Mapping[Kind, list[str]]]) -> Tally:
        """Count again, and announce the counts to the user's devices if something has changed."""
        tally = await self.count(view.whole)
        if changes:
            counts = {kind: (tally.unread[kind], view.whole.name(kind, place)) for kind, place in tally.as_of.items()}
            notice = {"revision": tally.revision, "counts": counts, "changes": changes}
            await inbox_notice.tell(self._link, self._keys, view.user_id, notice, admins=view.is_admin)
        return tally


def _places(view: View, ids: Iterable[str]) -> tuple[Sets, list[str]]:
    """Return the places that ids name, and the ids that name none in this inbox."""
    places: Sets = {}
    strangers: list[str] = []
    for name in ids:
        try:
            kind, position = view.find(name)
        except UnknownNotification:
            strangers.append(name)
        else:
            places.setdefault(kind, set()).add(position)
    return places, strangers


def _names(view: View, places: Sets) -> dict[Kind, list[str]]:
    return {kind: [view.name(kind, position) for position in sorted(those)] for kind, those in places.items()}


def _flat(names: Mapping[Kind, Iterable[str]]) -> list[str]:
    return [name for those in names.values() for name in those]
