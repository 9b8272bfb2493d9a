"""An archiver at work, and what it works with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from router.archive_batch import Event
from router.archive_counts import ArchiveCounts
from router.archive_store import ArchiveStore, Written
from router.archiver import Archiver
from shared.database import Database
from shared.keys import TAGS, Keys
from shared.link import Link
from shared.scripts import Scripts
from shared.tasks import running

EVERYBODY = ["all", *(f"user-{n}" for n in range(40))]  # together they are in all tags


@asynccontextmanager
async def archiving(
    link: Link, keys: Keys, database: Database, store: ArchiveStore | None = None
) -> AsyncIterator[ArchiveCounts]:
    counts = ArchiveCounts()
    archiver = Archiver(link, Scripts(keys), keys, store or ArchiveStore(database), counts)
    async with running(archiver.run(), "archiver"):
        yield counts


async def waiting(link: Link, keys: Keys) -> int:
    return sum(await asyncio.gather(*(link.send("XLEN", keys.archive(tag)) for tag in TAGS)))


class Counting(ArchiveStore):
    """Notes how many events each transaction is given, and when."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.sizes: list[int] = []
        self.times: list[float] = []

    async def write(self, events: Sequence[Event]) -> Written:
        self.sizes.append(len(events))
        self.times.append(time.monotonic())
        return await super().write(events)
