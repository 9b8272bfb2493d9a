"""Turns an entry of the archive into rows of the inbox, checking everything that the publish script wrote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pydantic_core import from_json

from shared import envelope
from shared.envelope import NONE, Envelope, UnreadableEnvelope
from shared.ids import Position, event_id
from shared.inbox_tables import audience_of, kept_type

ENTRY_BYTES: Final = 64  # what the script counts for an entry beside its text
_LARGEST: Final = 2**63 - 1


class EntryId(NamedTuple):
    """The totals ever archived in a tag up to and including an entry: bytes, and events."""

    size: int
    events: int

    def __str__(self) -> str:
        return f"{self.size}-{self.events}"

    @classmethod
    def parse(cls, text: bytes) -> EntryId:
        size, _, events = text.partition(b"-")
        return cls(int(size), int(events))


class Event(NamedTuple):
    """An event that waits for the database.

    Attributes:
        tag: the hash tag of the stream that it waits in.
        entry: the entry that it came in.
        text: the envelope, to be set aside if the database will not have it.
        row: of ``inbox_notification``; None if it cannot be read.
        reason: why not.
    """

    tag: str
    entry: EntryId
    text: bytes
    row: dict[str, Any] | None
    reason: str = ""


def events_of(tag: str, entry: EntryId, text: bytes) -> Iterator[Event]:
    """Yield the events of an entry; unreadable ones are yielded with the reason, to be set aside."""
    read = 0
    if not text:
        yield Event(tag, entry, text, None, "an empty entry")
    try:
        for message in envelope.read(text):
            size = text.index(b"\n", read) + 1 + len(message.payload) - read
            whole, read = text[read : read + size], read + size
            yield _event(tag, entry, whole, message)
    except UnreadableEnvelope as exc:
        yield Event(tag, entry, text[read:], None, str(exc))


def _event(tag: str, entry: EntryId, text: bytes, message: Envelope) -> Event:
    try:
        return Event(tag, entry, text, _row(message))
    except (ValueError, TypeError) as exc:
        return Event(tag, entry, text, None, str(exc) or type(exc).__name__)


def _row(message: Envelope) -> dict[str, Any]:
    stream, position = message.stream.decode(), Position.parse(message.position)
    content = b'%s,"id":"%s"}' % (message.payload, event_id(stream, position).encode())
    said = from_json(content)
    kind = said.get("type") if isinstance(said, dict) else None
    if not isinstance(kind, str):
        raise TypeError("its type is no text")
    numbers = {"published_at": int(message.published_at), "epoch": position.epoch, "n": position.n}
    expires_at = None if message.expires_at == NONE else int(message.expires_at)
    if not all(0 <= number <= _LARGEST for number in (*numbers.values(), expires_at or 0)):
        raise ValueError("a number is out of bounds")
    return {
        "audience": audience_of(stream),
        **numbers,
        "type": kept_type(kind),
        "content": content.decode(),
        "expires_at": expires_at,
    }
