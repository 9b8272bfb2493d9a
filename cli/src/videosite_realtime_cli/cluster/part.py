"""One child process of the cluster: leashed, in a session of its own, logged into a file, stopped within bounds."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from videosite_realtime_cli.cluster import leash
from videosite_realtime_cli.errors import PartNotReady
from videosite_realtime_cli.terminal import legible

READY_WITHIN = 45.0
_LOOK_EVERY = 0.1
_LAST_WORDS_BYTES = 8192
_LAST_WORDS_LENGTH = 400

Probe = Callable[[], Awaitable[str | None]]
"""Answers None when ready, else what it saw."""


async def always_ready() -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Part:
    """What to run.

    Attributes:
        grace: seconds between SIGTERM and SIGKILL.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    ready: Probe = always_ready
    grace: float = 5.0


class Process:
    """A part that runs."""

    def __init__(self, part: Part, logs: Path) -> None:
        self.part = part
        self.log = logs / f"{part.name}.log"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def name(self) -> str:
        return self.part.name

    async def start(self) -> None:
        # Ctrl-C in the terminal goes to its foreground group: a session of its own leaves the part for us to drain.
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-IS", leash.__file__, str(os.getpid())),
                *self.part.command,
                env=dict(self.part.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def ended(self) -> int:
        """Wait for its end; return the exit status, negative for a signal's number."""
        return await self._running.wait()

    async def ready(self, within: float = READY_WITHIN) -> None:
        """Wait until it answers its probe.

        Raises:
            PartNotReady: it did not in time.
        """
        answer: str | None = None
        try:
            async with asyncio.timeout(within):
                while True:
                    answer = await self.part.ready()
                    if answer is None:
                        return
                    await asyncio.sleep(_LOOK_EVERY)
        except TimeoutError as error:
            raise PartNotReady(self.name, within, answer or "no answer", self.last_words()) from error

    async def stop(self, hurry: asyncio.Event) -> None:
        """End it: SIGTERM, then SIGKILL after its grace or when there is a hurry. Stopping twice does no harm."""
        if self._process is None:
            return
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
            await _first_of(self._process.wait(), hurry.wait(), timeout=self.part.grace)
        # Whatever it has started shares its group; what is left of that goes with it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    def last_words(self) -> str:
        """Return the last line of its log that says something."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _LAST_WORDS_BYTES))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return legible(last[:_LAST_WORDS_LENGTH])

    @property
    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._process


async def _first_of(*work: Awaitable[object], timeout: float) -> None:
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
