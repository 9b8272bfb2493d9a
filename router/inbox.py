"""What a router does for the inbox. Imported only where there is one: SQLAlchemy costs half a second and 25 MB."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from router.archive_store import ArchiveStore
from router.archiver import Archiver
from router.settings import RouterSettings
from shared.database import Database
from shared.keys import Keys
from shared.redis_link import RedisLink
from shared.schema import prepare_schema
from shared.tasks import running


@dataclass(frozen=True, slots=True)
class Inbox:
    archiver: Archiver


@asynccontextmanager
async def inbox(settings: RouterSettings, link: RedisLink, keys: Keys) -> AsyncIterator[Inbox]:
    """Archive events for as long as the context lasts.

    Raises:
        SchemaTooOld: the database must be migrated first.
    """
    await prepare_schema(settings)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database.from_settings(settings, "vsrt-router"))
        archiver = Archiver(link, keys, ArchiveStore(database))
        await stack.enter_async_context(running(archiver.run(), "archiver"))
        yield Inbox(archiver)
