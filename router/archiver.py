"""Moves events from Redis, where publishing leaves them, to the inbox's database, in order.

 publish.lua ──one entry per call──▶ archive:{tag} ──in order, from its beginning──▶ inbox_notification
                                          ▲                                               │ committed
                                          └───────────── trimmed up to there ◀────────────┘

There is no consumer group: its consumers would commit newer events before older ones, so that a reader that goes by
positions would miss some, and a count could not say up to where it is complete. Here whoever writes starts at the
beginning of the stream, and takes off what is committed. So the database holds all events of an audience up to one
position, however many routers write at once, and a successor of a dead router needs no list of claimed entries. Writing
an event twice does no harm: its position is its key. One router per tag has the turn, which only saves work. What waits
in all of its tags a router writes together: a transaction costs as much as a hundred events.

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
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from router.archive_batch import Event
from router.archive_counts import ArchiveCounts
from router.archive_store import ArchiveStore
from router.archive_stream import ArchiveStream, Waiting
from router.turn import TURN_MS
from shared.errors import DatabaseUnavailable, RedisError
from shared.keys import TAGS, Keys
from shared.link import Link
from shared.scripts import Scripts

logger = logging.getLogger(__name__)

_INTERVAL: Final = 0.2  # s between reads: entries that arrive in between are written together
_TURNS: Final = TURN_MS / 5000  # s between attempts to take turns, or to keep them
_BATCH_EVENTS: Final = 500  # about as many in a transaction
_PAUSES: Final = (0.2, 2.0)  # s; first and longest pause while the database is away

_T = TypeVar("_T")


class Archiver:
    """Archives the events of all tags for which this router has the turn."""

    def __init__(self, link: Link, scripts: Scripts, keys: Keys, store: ArchiveStore, counts: ArchiveCounts) -> None:
        self.counts = counts
        self._store = store
        self._streams = [ArchiveStream(link, scripts, keys, tag, counts) for tag in TAGS]
        self._mine: list[ArchiveStream] = []  # those for which this router has the turn
        self._turns_due = 0.0
        self._pause = _PAUSES[0]
        self._told_of_failure = False

    async def run(self) -> None:
        """Archive until cancelled."""
        try:
            while True:
                pause = await self._round()
                await asyncio.sleep(pause)
        finally:
            await self._give_back()

    async def _round(self) -> float:
        """Archive what waits, or the beginning of it; return after how many seconds to look again."""
        if time.monotonic() >= self._turns_due:
            await self._take_turns()
        waiting = [found for found in await _answers(stream.read() for stream in self._mine) if found is not None]
        try:
            for batch in _batches(waiting):
                await self._archive(batch)
        except DatabaseUnavailable as exc:
            self._note_failure(exc)
            await self._give_back()  # another router may reach it
            pause, self._pause = self._pause, min(self._pause * 2, _PAUSES[1])
            return pause
        finally:
            for found in waiting:
                self.counts.lags[found.stream.tag] = _age(found.events[0])
        self._pause = _PAUSES[0]
        return 0.0 if any(found.more for found in waiting) else _INTERVAL

    async def _take_turns(self) -> None:
        self._turns_due = time.monotonic() + _TURNS
        taken = await _answers(stream.take_turn() for stream in self._streams)
        self._mine = [stream for stream in taken if stream is not None]

    async def _give_back(self) -> None:
        mine, self._mine, self._turns_due = self._mine, [], 0.0
        await asyncio.gather(*(stream.turn.give_back() for stream in mine))

    async def _archive(self, batch: Sequence[Waiting]) -> None:
        tags = {found.stream.tag for found in batch}
        try:
            written = await self._store.write([event for found in batch for event in found.events])
        except DatabaseUnavailable:
            self.counts.refused_for |= tags
            raise
        self.counts.archived += written.archived
        self.counts.repeated += written.repeated
        self._note_success(tags)
        refused = {tag: [(event, why) for event, why in written.refused if event.tag == tag] for tag in tags}
        await _answers(found.stream.settle(found.last, refused[found.stream.tag]) for found in batch)

    def _note_failure(self, exc: DatabaseUnavailable) -> None:
        self.counts.failures += 1
        if not self._told_of_failure:
            self._told_of_failure = True
            logger.error("the inbox's database is away; events wait in redis", extra={"error": exc.reason})

    def _note_success(self, tags: set[str]) -> None:
        self.counts.refused_for -= tags
        if self._told_of_failure:
            self._told_of_failure = False
            logger.warning("the inbox's database is back")


async def _answers(calls: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Return the results of those whose server answers: a tag whose server is away keeps no other tag waiting."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, RedisError):
            logger.debug("archiver waits for redis", extra={"error": str(result)})
        elif isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def _batches(waiting: Iterable[Waiting]) -> Iterator[list[Waiting]]:
    """Join what waits in several tags, up to about as many events as a transaction should have."""
    batch: list[Waiting] = []
    for found in waiting:
        batch.append(found)
        if sum(len(each.events) for each in batch) >= _BATCH_EVENTS:
            yield batch
            batch = []
    if batch:
        yield batch


def _age(oldest: Event) -> float:
    """Return for how many seconds an event has waited; 0 if it cannot be read."""
    return max(0.0, time.time() - oldest.row["published_at"] / 1e6) if oldest.row is not None else 0.0
