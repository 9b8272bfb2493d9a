"""A real PostgreSQL: Debian's, in a directory and on a port of its own."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import asyncpg

from shared.database import Database
from shared.schema import migrate
from tests.support.ports import LOOPBACK, free_port
from tests.support.process import Process
from tests.support.waiting import until

_USER = "postgres"  # the server refuses to run as root
_TEMPLATE = "migrated"


def programs() -> Path:
    """Return where the newest installed version's programs are."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    assert found, "PostgreSQL is not installed: apt-get install postgresql"
    return found[-1].parent


def _as_its_user() -> list[str]:
    return ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--init-groups"] if os.geteuid() == 0 else []


class PostgresServer(Process):
    """A server that finds its data again when it is started again.

    Args:
        durable: what is committed is synced to the disk, as in production; tests do without, for speed.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self.port = free_port()
        self._directory = Path(tempfile.mkdtemp(prefix="vsrt-postgres-"))
        self._numbers = itertools.count(1)
        if os.geteuid() == 0:
            owner = pwd.getpwnam(_USER)
            os.chown(self._directory, owner.pw_uid, owner.pw_gid)
        options = {
            "port": self.port,
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": self._directory,
            "fsync": "on" if durable else "off",
            "max_connections": 200,
        }
        command = [*_as_its_user(), str(programs() / "postgres"), "-D", str(self._directory / "data")]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        super().__init__("postgres", command, {}, self._directory / "log")

    async def start(self) -> None:
        if not (self._directory / "data").exists():
            initdb = [str(programs() / "initdb"), "-D", str(self._directory / "data"), "-U", _USER]
            options = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
            subprocess.run([*_as_its_user(), *initdb, *options], check=True, capture_output=True, cwd="/")
        self.launch()
        await until(self._answers, timeout=30)

    async def _answers(self) -> bool:
        assert self.running, self.log_tail()
        try:
            await self.execute("SELECT 1")
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    async def execute(self, *statements: str, database: str = "postgres") -> None:
        connection = await asyncpg.connect(self.url(database))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    def url(self, database: str) -> str:
        return f"postgresql://{_USER}@{LOOPBACK}:{self.port}/{database}"

    async def new_database(self, *, empty: bool = False) -> str:
        """Return the URL of a fresh database, migrated unless it is to be empty."""
        if not empty and not (self._directory / _TEMPLATE).exists():
            await self.execute(f"CREATE DATABASE {_TEMPLATE}")
            async with Database(self.url(_TEMPLATE), name="tests", timeout=60) as database:
                await migrate(database)
            (self._directory / _TEMPLATE).touch()
        name = f"inbox_{next(self._numbers)}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {'template0' if empty else _TEMPLATE}")
        return self.url(name)

    async def crash(self) -> None:
        """End it at once, with all its children: what was not committed is gone."""
        self.signal(signal.SIGQUIT)
        await self.exit_status()

    async def terminate(self, timeout: float = 30) -> int:
        self.signal(signal.SIGINT)  # "fast": it does not wait for its clients to leave
        return await self.exit_status(timeout)

    def remove(self) -> None:
        """Remove its data; it may not run."""
        assert not self.running
        shutil.rmtree(self._directory)
