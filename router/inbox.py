"""What a router does for the inbox. Imported only where there is one: SQLAlchemy costs half a second and 25 MB."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from router.archive_counts import ArchiveCounts
from router.archive_store import ArchiveStore
from router.archiver import Archiver
from router.erasure import EraseRows
from router.inbox_removal import erase_user
from router.inbox_sweeper import InboxSweeper
from router.settings import RouterSettings
from shared.database import Database
from shared.keys import Keys
from shared.link import Link
from shared.schema import prepare_schema
from shared.scripts import Scripts
from shared.tasks import running


@asynccontextmanager
async def inbox(
    settings: RouterSettings, link: Link, scripts: Scripts, keys: Keys, counts: ArchiveCounts
) -> AsyncIterator[EraseRows]:
    """Archive events and delete old ones for as long as the context lasts; yield what erases a user's rows.

    Raises:
        SchemaTooOld: the database must be migrated first.
    """
    await prepare_schema(settings)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database.from_settings(settings, "vsrt-router"))
        archiver = Archiver(link, scripts, keys, ArchiveStore(database), counts)
        sweeper = InboxSweeper(database, link, keys, counts, retention_days=settings.inbox_retention_days)
        for work, name in ((archiver.run(), "archiver"), (sweeper.run(), "inbox sweeper")):
            await stack.enter_async_context(running(work, name))
        yield partial(erase_user, database)
