"""Moves events from Redis, where publishing leaves them, to the inbox's database, in order.

 publish.lua ──one entry per call──▶ archive:{tag} ──in order, from its beginning──▶ inbox_notification
                                          ▲                                               │ committed
                                          └───────────── trimmed up to there ◀────────────┘

There is no consumer group: its consumers would commit newer events before older ones, so that a reader that goes by
positions would miss some, and a count could not say up to where it is complete. Here whoever writes starts at the
beginning of the stream, and takes off what is committed. So the database holds all events of an audience up to one
position, however many routers write at once, and a successor of a dead router needs no list of claimed entries. Writing
an event twice does no harm: its position is its key. One router per tag has the turn, which only saves work.

| what happens | what becomes of it |
| --- | --- |
| the database is away | events wait in Redis, publishing is not affected; retried with growing pauses |
| it is away for this router alone | the turn is given back after every failure, and another router takes it |
| more than ``ARCHIVE_MAX_BYTES`` wait | the script drops the oldest; noticed by the gap in the ids, counted, logged |
| the database refuses an event, or it cannot be read | set aside with its reason, in a stream of its own |
| this process dies after the commit | the next one writes the same again, which changes nothing |
| Redis has forgotten entries, or came back older | what is there is written; repetitions change nothing |
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any, Final

from router.archive_batch import ENTRY_BYTES, EntryId, Event, events_of
from router.archive_counts import ArchiveCounts
from router.archive_store import ArchiveStore
from router.turn import TURN_MS, Turn
from shared.errors import DatabaseUnavailable, RedisError
from shared.keys import TAGS, Keys
from shared.link import Link
from shared.scripts import TAKE_OFF, Scripts

logger = logging.getLogger(__name__)

# s between reads: entries that arrive in between are one batch; a transaction costs as much as a hundred events.
_INTERVAL: Final = 0.2
_BATCH_BYTES: Final = 512 * 1024
_BATCH_ENTRIES: Final = 200
_BATCH_EVENTS: Final = 500
_PAUSES: Final = (0.2, 2.0)  # s; first and longest pause while the database is away
_DEAD_MAX: Final = 10_000  # entries that are set aside, per tag


class Archiver:
    """Archives the events of all tags for which this router has the turn."""

    def __init__(self, link: Link, scripts: Scripts, keys: Keys, store: ArchiveStore, counts: ArchiveCounts) -> None:
        self._link, self._scripts, self._keys = link, scripts, keys
        self._store, self.counts = store, counts
        self._turns = {tag: Turn(link, keys.archive_turn(tag)) for tag in TAGS}
        self._told_of_failure = False

    async def run(self) -> None:
        """Archive until cancelled."""
        try:
            async with asyncio.TaskGroup() as tags:
                for tag in TAGS:
                    tags.create_task(self._follow(tag), name=f"archive {tag}")
        finally:
            await asyncio.gather(*(turn.give_back() for turn in self._turns.values()))

    async def _follow(self, tag: str) -> None:
        pause = _PAUSES[0]
        while True:
            try:
                if not await self._turns[tag].take():
                    self.counts.nothing_waits(tag)
                    await asyncio.sleep(TURN_MS / 5000)
                    continue
                more = await self._archive(tag)
            except RedisError as exc:
                logger.debug("archiver waits for redis", extra={"tag": tag, "error": str(exc)})
                await asyncio.sleep(_PAUSES[0])
                continue
            except DatabaseUnavailable as exc:
                self._note_failure(tag, exc)
                await self._turns[tag].give_back()  # another router may reach it
                await asyncio.sleep(pause)
                pause = min(pause * 2, _PAUSES[1])
                continue
            pause = _PAUSES[0]
            if not more:
                await asyncio.sleep(_INTERVAL)

    async def _archive(self, tag: str) -> bool:
        """Archive what waits, one batch at most; return whether there is more."""
        entries = await self._read(tag)
        counts = self.counts
        if not entries:
            counts.nothing_waits(tag)
            return False
        events = [event for entry, text in entries for event in events_of(entry, text)]
        try:
            written = await self._store.write(events)
        finally:
            counts.lags[tag] = _age(events[0])
        await self._set_aside(tag, written.refused)
        await self._take_off(tag, entries[-1][0])
        counts.archived += written.archived
        counts.repeated += written.repeated
        self._note_success(tag)
        size = entries[-1][0].size - entries[0][0].size
        return len(events) >= _BATCH_EVENTS or len(entries) > _BATCH_ENTRIES or size > _BATCH_BYTES // 2

    async def _read(self, tag: str) -> list[tuple[EntryId, bytes]]:
        """Return the archive's first entries: at least one if there is any, within a limit in bytes."""
        key = self._keys.archive(tag)
        # In this order: entries that another router takes off in between must not look as if they had been dropped.
        raw, done = await asyncio.gather(
            self._link.send("XRANGE", key, "-", "+", "COUNT", 1), self._link.send("GET", self._keys.archive_done(tag))
        )
        if not raw:
            return []
        first, text = _entry(raw[0])
        await self._note_gap(tag, first, text, done)
        # Ids begin with a count of bytes, so a range of ids is a limit in bytes.
        raw = await self._link.send("XRANGE", key, f"({first}", str(first.size + _BATCH_BYTES), "COUNT", _BATCH_ENTRIES)
        entries = [(first, text)]
        for entry, envelopes in map(_entry, raw):
            last = entries[-1][0]
            if last.events - first.events >= _BATCH_EVENTS:
                break
            if entry.size - len(envelopes) - ENTRY_BYTES > last.size:
                break  # what stood between was given up since the first look: counted when the next one finds the gap
            entries.append((entry, envelopes))
        return entries

    async def _note_gap(self, tag: str, first: EntryId, text: bytes, done: bytes | None) -> None:
        """Count dropped events: those between the last archived entry and the first one that is left."""
        if done is None:
            return
        events = sum(1 for _ in events_of(first, text))
        missing = first.events - events - EntryId.parse(done).events
        if missing > 0:
            self.counts.given_up += missing
            logger.error("events are lost to the inbox: its archive was full", extra={"tag": tag, "events": missing})
            before = EntryId(first.size - len(text) - ENTRY_BYTES, first.events - events)
            await self._take_off(tag, before)

    async def _set_aside(self, tag: str, refused: Sequence[tuple[Event, str]]) -> None:
        key = self._keys.archive_dead(tag)
        for event, reason in refused:
            fields = ("e", event.text, "entry", str(event.entry), "reason", reason[:1000])
            await self._link.send("XADD", key, "MAXLEN", "~", _DEAD_MAX, "*", *fields)
            self.counts.set_aside += 1
            logger.error("event set aside", extra={"tag": tag, "entry": str(event.entry), "reason": reason[:200]})

    async def _take_off(self, tag: str, last: EntryId) -> None:
        names = (self._keys.archive(tag), self._keys.archive_done(tag))
        await self._scripts.run(self._link, TAKE_OFF, names, last)

    def _note_failure(self, tag: str, exc: DatabaseUnavailable) -> None:
        self.counts.failures += 1
        self.counts.refused_for.add(tag)
        if not self._told_of_failure:
            self._told_of_failure = True
            logger.error("the inbox's database is away; events wait in redis", extra={"error": exc.reason})

    def _note_success(self, tag: str) -> None:
        self.counts.refused_for.discard(tag)
        if self._told_of_failure:
            self._told_of_failure = False
            logger.warning("the inbox's database is back")


def _age(oldest: Event) -> float:
    """Return for how many seconds an event has waited; 0 if it cannot be read."""
    return max(0.0, time.time() - oldest.row["published_at"] / 1e6) if oldest.row is not None else 0.0


def _entry(item: Any) -> tuple[EntryId, bytes]:
    """Return an entry's id and envelopes; of a foreign entry, whatever it contains."""
    entry, fields = item
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    return EntryId.parse(entry), values[b"e"] if b"e" in values else b" ".join(fields)
