"""What a node does for the inbox. Imported only where there is one: SQLAlchemy costs half a second and 25 MB."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter

from node.callers import Callers
from node.history import History
from node.inbox_api import InboxApi
from node.inbox_service import InboxService
from node.settings import NodeSettings
from shared.database import Database
from shared.keys import Keys
from shared.link import Link
from shared.schema import prepare_schema


@asynccontextmanager
async def inbox(
    settings: NodeSettings, callers: Callers, link: Link, keys: Keys, history: History
) -> AsyncIterator[APIRouter]:
    """Yield the inbox's routes; they work for as long as the context lasts.

    Raises:
        SchemaTooOld: the database must be migrated first.
    """
    await prepare_schema(settings)
    async with Database.from_settings(settings, "vsrt-node") as database:
        service = InboxService(database, link, keys, history)
        yield InboxApi(service, callers, per_second=settings.commands_per_second).routes()
