"""An inbox as one would write it who need not care what it costs: lists and sets, counted one by one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from node.inbox_view import Kind, View
from shared.ids import BEGINNING, Position


@dataclass(slots=True)
class Note:
    position: Position
    type: str
    published: int
    expires: int | None


class NaiveInbox:
    """What everybody should see."""

    def __init__(self) -> None:
        self.notes: defaultdict[str, dict[Position, Note]] = defaultdict(dict)
        self.tops: defaultdict[str, Position] = defaultdict(lambda: BEGINNING)
        self._read: defaultdict[tuple[str, str], set[Position]] = defaultdict(set)
        self._up_to: defaultdict[tuple[str, str], Position] = defaultdict(lambda: BEGINNING)
        self._deleted: defaultdict[tuple[str, str], set[Position]] = defaultdict(set)
        self.revisions: defaultdict[str, int] = defaultdict(int)

    # --- what happens

    def add(self, audience: str, note: Note) -> None:
        self.notes[audience][note.position] = note
        self.tops[audience] = max(self.tops[audience], note.position)

    def read(self, view: View, kind: Kind, position: Position) -> None:
        key = view.user_id, view.audience(kind)
        there = self._visible_at(view, kind, position)
        if there and not self.is_read(view, kind, position):
            self._read[key].add(position)
            self.revisions[view.user_id] += 1

    def read_up_to(self, view: View, kind: Kind, position: Position) -> None:
        key = view.user_id, view.audience(kind)
        if position > self._up_to[key]:
            self._up_to[key] = position
            self.revisions[view.user_id] += 1

    def delete(self, view: View, kind: Kind, position: Position) -> bool:
        there = self._visible_at(view, kind, position)
        if there:
            self.revisions[view.user_id] += 1
            if kind == "user":
                del self.notes[view.audience(kind)][position]
            else:
                self._deleted[view.user_id, kind].add(position)
        return there

    def drop_expired(self, now: int) -> None:
        for notes in self.notes.values():
            for position in [p for p, note in notes.items() if note.expires is not None and note.expires <= now]:
                del notes[position]

    def drop_older(self, published: int) -> None:
        for notes in self.notes.values():
            for position in [p for p, note in notes.items() if note.published <= published]:
                del notes[position]

    def erase(self, view: View, top: Position) -> None:
        audience = view.audience("user")
        self.notes[audience].clear()
        self.tops[audience] = max(self.tops[audience], top)
        for kept in (self._read, self._up_to, self._deleted):
            for key in [key for key in kept if key[0] == view.user_id]:
                del kept[key]  # type: ignore[attr-defined]
        self.revisions.pop(view.user_id, None)

    # --- what is seen

    def is_read(self, view: View, kind: Kind, position: Position) -> bool:
        key = view.user_id, view.audience(kind)
        return position in self._read[key] or position <= self._up_to[key]

    def seen(self, view: View, kind: Kind, now: int) -> list[Note]:
        """Return what of an audience a user sees, newest first."""
        return [
            note
            for position, note in sorted(self.notes[view.audience(kind)].items(), reverse=True)
            if self._visible_at(view, kind, position) and (note.expires is None or note.expires > now)
        ]

    def unread(self, view: View, kind: Kind, now: int) -> int:
        return sum(not self.is_read(view, kind, note.position) for note in self.seen(view, kind, now))

    def listed(self, view: View, now: int, *, type: str | None, unread: bool) -> list[tuple[Kind, Position, bool]]:
        """Return the whole list: of the streams' next ones always the one that was published last."""
        streams: dict[Kind, list[Note]] = {
            kind: [
                note
                for note in self.seen(view, kind, now)
                if (type is None or note.type == type) and not (unread and self.is_read(view, kind, note.position))
            ]
            for kind in view.kinds
        }
        found: list[tuple[Kind, Position, bool]] = []
        while any(streams.values()):
            kind = max((kind for kind in view.kinds if streams[kind]), key=lambda kind: streams[kind][0].published)
            note = streams[kind].pop(0)
            found.append((kind, note.position, self.is_read(view, kind, note.position)))
        return found

    def _visible_at(self, view: View, kind: Kind, position: Position) -> bool:
        audience = view.audience(kind)
        return position in self.notes[audience] and position not in self._deleted[view.user_id, audience]
