"""Whose inbox is read, and how cursors in it are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from shared.auth import Principal
from shared.errors import InvalidMessage
from shared.ids import Position, event_id, parse_event_id, user_stream
from shared.inbox_tables import audience_of_user

Kind = Literal["user", "admin", "all"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

Places = Mapping[Kind, Position]


class UnknownNotification(LookupError):
    """There is no such notification, or it is not this user's; callers are not told which."""


def allowed_kinds(*, is_admin: bool) -> tuple[Kind, ...]:
    return KINDS if is_admin else ("user", "all")


@dataclass(frozen=True, slots=True)
class View:
    """The part of an inbox that is read: all audiences that the user may see, or some of them."""

    user_id: str
    kinds: tuple[Kind, ...]
    is_admin: bool = False

    @property
    def whole(self) -> View:
        """Everything that this user may look at."""
        return View(self.user_id, allowed_kinds(is_admin=self.is_admin), self.is_admin)

    def audience(self, kind: Kind) -> str:
        """Return the audience as the database names it."""
        return audience_of_user(self.user_id) if kind == "user" else kind

    def stream(self, kind: Kind) -> str:
        return user_stream(self.user_id) if kind == "user" else kind

    def find(self, text: str) -> tuple[Kind, Position]:
        """Return which audience an event's id belongs to, and its place there.

        Raises:
            UnknownNotification: it is no id, or names a stream that is not looked at.
        """
        parsed = parse_event_id(text)
        if parsed is not None:
            for kind in self.kinds:
                if self.stream(kind) == parsed[0]:
                    return kind, parsed[1]
        raise UnknownNotification(text)

    def name(self, kind: Kind, position: Position) -> str:
        return event_id(self.stream(kind), position)

    def write(self, places: Places) -> str:
        """Return places as ``<id>,<id>,…``, one per audience that is looked at."""
        return ",".join(self.name(kind, places[kind]) for kind in self.kinds if kind in places)

    def read(self, text: str, field: str, part: str) -> dict[Kind, Position]:
        """Return the places that ``<id>,<id>,…`` names.

        Raises:
            InvalidMessage: it names none, one twice, or a stream that is not looked at.
        """
        places: dict[Kind, Position] = {}
        for word in text.split(","):
            try:
                kind, position = self.find(word)
            except UnknownNotification:
                raise InvalidMessage(field, f"names no place in this inbox: {word[:80]!r}", part) from None
            if kind in places:
                raise InvalidMessage(field, f"names the stream of {word[:80]!r} twice", part)
            places[kind] = position
        return places


def view_of(principal: Principal, audience: str | None) -> View:
    """Return the view that a caller asks for: everything it may see, or the audiences it names.

    Raises:
        InvalidMessage: an audience that there is not, or that it may not see.
    """
    allowed = allowed_kinds(is_admin=principal.is_admin)
    if audience is None:
        return View(principal.user_id, allowed, principal.is_admin)
    asked = audience.split(",")
    for word in asked:
        if word not in allowed:
            raise InvalidMessage("audience", f"{word[:40]!r} is none of {', '.join(allowed)}", "query")
    return View(principal.user_id, tuple(kind for kind in allowed if kind in asked), principal.is_admin)
