"""The databases that the inbox is measured with."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator

from loadtests.stage import SERVER_CORE, on_core
from tests.support.postgres import PostgresServer

HELP = "sqlite: a file; postgresql: Debian's, started for it, with fsync; or the address of an empty database"


@contextlib.asynccontextmanager
async def database_url(name: str) -> AsyncIterator[str]:
    """Yield the address of an empty database; what is started for it, on the servers' core, ends afterwards."""
    if name == "sqlite":
        with tempfile.TemporaryDirectory() as directory:
            yield f"sqlite:///{directory}/inbox.db"
    elif name == "postgresql":
        server = PostgresServer(durable=True)
        try:
            with on_core(SERVER_CORE):
                await server.start()
            yield await server.new_database(empty=True)
        finally:
            await server.end()
            server.remove()
    else:
        yield name
