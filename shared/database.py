"""The inbox's database: PostgreSQL, or SQLite for the processes of one host.

Whoever waits here waits for a bounded time: for a connection, for a lock, for an answer. A database that is away or
hangs is a ``DatabaseUnavailable``, and what it will not have, whoever asks, is a ``DataRefused``.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
from sqlalchemy import event, exc, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from shared.errors import DatabaseError, DatabaseUnavailable, DataRefused
from shared.inbox_settings import InboxSettings

_WAITING_PER_CONNECTION: Final = 8  # beyond it a caller is told at once: it would only wait for its time to run out
CLOSE: Final = 0.5  # s for good-byes; a server that hangs would be waited for, connection by connection
_NOT_OURS_TO_REPEAT: Final = ("22", "23")  # classes of SQLSTATE: data exception, integrity constraint violation
_SQLITE: Final = "sqlite"


class Database:
    """A bounded pool of connections; an async context manager that closes them.

    Args:
        url: ``postgresql://…`` with whatever parameters libpq knows, or ``sqlite:///file``.
        timeout: seconds for a call, the wait for a connection included.
        name: shown in ``pg_stat_activity``.
    """

    def __init__(self, url: str, *, name: str, pool_size: int = 5, timeout: float = 5.0) -> None:
        self.is_sqlite = url.startswith(_SQLITE)
        self._timeout = timeout
        self._places = pool_size * (1 + _WAITING_PER_CONNECTION)
        pool: dict[str, Any] = {
            "pool_size": pool_size,
            "max_overflow": 0,
            "pool_timeout": timeout,
            "hide_parameters": True,  # people's messages do not belong in logs
        }
        engine = _sqlite(url, timeout, pool) if self.is_sqlite else _postgresql(url, name, timeout, pool)
        self._reading = engine.execution_options(**({} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}))
        self._writing = engine.execution_options(sqlite_begin="IMMEDIATE")
        self.engine = engine

    @classmethod
    def from_settings(cls, settings: InboxSettings, name: str) -> Database:
        return cls(
            settings.database_url.get_secret_value(),
            name=name,
            pool_size=settings.database_pool_size,
            timeout=settings.database_timeout,
        )

    async def __aenter__(self) -> Database:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        # SQLite's connections have threads, which must end before the loop does; and closing a file does not hang.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if self.is_sqlite else CLOSE):
                await self.engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection whose statements all see the same moment.

        Raises:
            DatabaseUnavailable: or there are too many waiting already.
        """
        async with self._transaction(self._reading) as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection in a transaction that is committed at the end, and rolled back by an exception.

        Raises:
            DatabaseUnavailable: nothing is certain; what was to be done may have been done.
            DataRefused: nothing was done.
        """
        async with self._transaction(self._writing) as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        if self._places == 0:
            raise DatabaseUnavailable("too many are waiting for it")
        self._places -= 1
        try:
            async with asyncio.timeout(self._timeout), engine.begin() as connection:
                yield connection
        except (
            exc.SQLAlchemyError,
            asyncpg.PostgresError,
            OSError,
            TimeoutError,
            OverflowError,
            UnicodeError,
        ) as error:
            raise _translated(error) from error
        finally:
            self._places += 1


def _translated(error: Exception) -> DatabaseError:
    if isinstance(error, OverflowError | UnicodeError):
        return DataRefused(str(error))
    if not isinstance(error, exc.DBAPIError):
        return DatabaseUnavailable(str(error) or f"no answer in time ({type(error).__name__})")
    original = error.orig
    reason = str(original).partition("\n")[0]
    state = getattr(original, "sqlstate", None) or ""
    # A value that cannot even be sent to the server is refused by the driver, without an SQLSTATE.
    by_driver = isinstance(getattr(original, "__cause__", None), asyncpg.DataError)
    if isinstance(error, exc.IntegrityError | exc.DataError) or state[:2] in _NOT_OURS_TO_REPEAT or by_driver:
        return DataRefused(reason)
    return DatabaseUnavailable(reason)


def _postgresql(url: str, name: str, timeout: float, pool: dict[str, Any]) -> AsyncEngine:
    milliseconds = str(int(timeout * 1000))
    options = {
        "application_name": name,
        "statement_timeout": milliseconds,
        "lock_timeout": milliseconds,
        "idle_in_transaction_session_timeout": milliseconds,
        # Every query of ours has its index. With young statistics, or because it misjudges how epochs are distributed,
        # the planner may prefer to read and sort a whole table (seen with 150,000 rows).
        "enable_seqscan": "off",
        "enable_bitmapscan": "off",
        "enable_sort": "off",
        # Generic plans and compilation pay off only for longer queries than ours.
        "plan_cache_mode": "force_custom_plan",
        "jit": "off",
    }

    async def connect() -> Any:
        # asyncpg reads the address itself: it knows libpq's parameters (sslmode, several hosts, …).
        return await asyncpg.connect(url, timeout=timeout, command_timeout=timeout, server_settings=options)

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, **pool)


def _sqlite(url: str, timeout: float, pool: dict[str, Any]) -> AsyncEngine:
    address = make_url(url).set(drivername="sqlite+aiosqlite")
    if address.database:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(address, connect_args={"timeout": timeout}, **pool)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        try:
            _prepare_sqlite(connection, timeout)
        except BaseException:
            connection.close()  # nobody else knows it yet
            raise

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        # A transaction that is going to write says so when it begins: of two that read first, one could not write.
        connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('sqlite_begin', 'DEFERRED')}")

    return engine


def _prepare_sqlite(connection: Any, timeout: float) -> None:
    """Set a new connection up; it runs where SQLAlchemy lets what looks synchronous be awaited."""
    connection.isolation_level = None  # we say BEGIN ourselves: sqlite3 would not for reads
    cursor = connection.cursor()
    deadline = time.monotonic() + timeout
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")  # readers and the one writer do not wait for each other
            break
        except sqlite3.OperationalError as error:
            # If two processes create the file at the same time, SQLite refuses one at once, whatever its timeout.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        await_only(asyncio.sleep(0.01))
    cursor.execute("PRAGMA synchronous=FULL")  # what is committed has been forgotten by Redis
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
