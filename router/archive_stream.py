"""What waits for the inbox in one hash tag: read from its beginning, and taken off once the database has it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from router.archive_batch import ENTRY_BYTES, EntryId, Event, events_of
from router.archive_counts import ArchiveCounts
from router.turn import Turn
from shared.keys import Keys
from shared.link import Link
from shared.scripts import TAKE_OFF, Scripts
from shared.tasks import all_of

logger = logging.getLogger(__name__)

_BYTES: Final = 512 * 1024  # of what is read at once
_ENTRIES: Final = 200
_EVENTS: Final = 500
_DEAD_MAX: Final = 10_000  # entries that are set aside


@dataclass(frozen=True, slots=True)
class Waiting:
    """The first entries of a stream.

    Attributes:
        events: of these entries, in order; at least one.
        last: the last of these entries.
        more: whether many others are likely to wait behind them.
    """

    stream: ArchiveStream
    events: list[Event]
    last: EntryId
    more: bool


class ArchiveStream:
    """One tag's part of the archive, and the turn to move it on."""

    def __init__(self, link: Link, scripts: Scripts, keys: Keys, tag: str, counts: ArchiveCounts) -> None:
        self.tag = tag
        self.turn = Turn(link, keys.archive_turn(tag))
        self._link, self._scripts, self._counts = link, scripts, counts
        self._key, self._done, self._dead = keys.archive(tag), keys.archive_done(tag), keys.archive_dead(tag)

    async def take_turn(self) -> bool:
        """Take the turn, or keep it; False if another router has it. Raises ``RedisError``."""
        mine = await self.turn.take()
        if not mine:
            self._counts.nothing_waits(self.tag)
        return mine

    async def read(self) -> Waiting | None:
        """Return the first entries: at least one if there is any, within a limit in bytes. Raises ``RedisError``."""
        # In this order: entries that another router takes off in between must not look as if they had been dropped.
        raw, done = await asyncio.gather(
            self._link.send("XRANGE", self._key, "-", "+", "COUNT", 1), self._link.send("GET", self._done)
        )
        if not raw:
            self._counts.nothing_waits(self.tag)
            return None
        first, text = _entry(raw[0])
        events = list(events_of(self.tag, first, text))
        if done is not None:
            await self._note_gap(EntryId.parse(done), first, text, len(events))
        last = first
        # Ids begin with a count of bytes, so a range of ids is a limit in bytes.
        end = str(first.size + _BYTES)
        raw = await self._link.send("XRANGE", self._key, f"({first}", end, "COUNT", _ENTRIES)
        for entry, envelopes in map(_entry, raw):
            if last.events - first.events >= _EVENTS:
                break
            if entry.size - len(envelopes) - ENTRY_BYTES > last.size:
                break  # what stood between was given up since the first look: counted when the next one finds the gap
            events += events_of(self.tag, entry, envelopes)
            last = entry
        more = len(events) >= _EVENTS or len(raw) >= _ENTRIES or last.size - first.size > _BYTES // 2
        return Waiting(self, events, last, more)

    async def settle(self, last: EntryId, refused: Sequence[tuple[Event, str]]) -> None:
        """Take entries off, up to the last one, once those that the database refused are set aside.

        Raises:
            RedisError: some may stay, to be read again.
        """
        await all_of(*(self._set_aside(event, reason) for event, reason in refused))  # at once: there may be hundreds
        for event, reason in refused:
            self._counts.set_aside += 1
            logger.error("event set aside", extra={"tag": self.tag, "entry": str(event.entry), "reason": reason[:200]})
        await self._take_off(last)

    def _set_aside(self, event: Event, reason: str) -> asyncio.Future[Any]:
        fields = ("e", event.text, "entry", str(event.entry), "reason", reason[:1000])
        return self._link.send("XADD", self._dead, "MAXLEN", "~", _DEAD_MAX, "*", *fields)

    async def _note_gap(self, done: EntryId, first: EntryId, text: bytes, events: int) -> None:
        """Count dropped events: those between the last archived entry and the first one that is left."""
        before = EntryId(first.size - len(text) - ENTRY_BYTES, first.events - events)
        missing = before.events - done.events
        if missing > 0:
            self._counts.given_up += missing
            extra = {"tag": self.tag, "events": missing}
            logger.error("events are lost to the inbox: its archive was full", extra=extra)
            await self._take_off(before)

    async def _take_off(self, last: EntryId) -> None:
        await self._scripts.run(self._link, TAKE_OFF, (self._key, self._done), last)


def _entry(item: Any) -> tuple[EntryId, bytes]:
    """Return an entry's id and envelopes; of a foreign entry, whatever it contains."""
    entry, fields = item
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    return EntryId.parse(entry), values[b"e"] if b"e" in values else b" ".join(fields)
