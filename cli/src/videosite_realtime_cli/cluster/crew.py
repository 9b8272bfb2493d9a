"""All parts together: started in groups, watched as one, stopped in the reverse order.

While the crew attends to some work, three things may happen first, each with its own outcome:

=============================== ==============================
a part ends by itself           ``PartDied``, with its last line
a stop is asked for             ``StopAsked``
a companion (a task) fails      its exception
=============================== ==============================
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from videosite_realtime_cli.cluster.part import Part, Process
from videosite_realtime_cli.errors import PartDied

T = TypeVar("T")

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopAsked(Exception):
    """Somebody asked for the end; not an error."""


class StopRequest:
    """The wish to stop: the first signal drains, a second one hurries."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurry = asyncio.Event()

    def ask(self) -> None:
        (self.hurry if self.asked.is_set() else self.asked).set()

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for each in STOP_SIGNALS:
            loop.add_signal_handler(each, self.ask)
        try:
            yield
        finally:
            for each in STOP_SIGNALS:
                loop.remove_signal_handler(each)


class Crew:
    """Runs parts and notices when one of them, or one of its companions, ends.

    Args:
        logs: directory of the parts' log files.
        stop: the wish to stop.
    """

    def __init__(self, logs: Path, stop: StopRequest) -> None:
        self.processes: list[Process] = []
        self._logs, self._stop = logs, stop
        self._companions: list[asyncio.Task[Any]] = []

    @asynccontextmanager
    async def running(self, parts: Sequence[Part]) -> AsyncIterator[list[Process]]:
        """Run these parts while the block runs; afterwards stop them, side by side."""
        started: list[Process] = []
        try:
            for part in parts:
                process = Process(part, self._logs)
                started.append(process)
                await process.start()
                self.processes.append(process)
            yield started
        finally:
            # From here on their end is no news.
            self.processes = [each for each in self.processes if each not in started]
            await asyncio.gather(*(each.stop(self._stop.hurry) for each in started))

    @asynccontextmanager
    async def companion(self, work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
        """Run a coroutine beside the block; the crew notices when it fails."""
        task = asyncio.create_task(work)
        self._companions.append(task)
        try:
            yield
        finally:
            self._companions.remove(task)
            task.cancel()
            await asyncio.wait([task])

    async def all_ready(self) -> None:
        """Wait until every part answers its probe; raises as ``attend`` does, and ``PartNotReady``."""
        waits = [process.ready() for process in self.processes]
        await self.attend(_all(waits))

    async def until_stopped(self) -> None:
        """Wait for the end of things; never returns, raises as ``attend`` does."""
        await self.attend(asyncio.Event().wait())

    async def attend(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the work returns, unless the crew's own news comes first; then the work is cancelled."""
        own = asyncio.create_task(work)
        asked = asyncio.create_task(self._stop.asked.wait())
        ends = {asyncio.create_task(process.ended()): process for process in self.processes}
        try:
            await asyncio.wait({own, asked, *ends, *self._companions}, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                raise StopAsked
            for end, process in ends.items():  # in the order of their start: a server's death comes before its clients'
                if end.done():
                    raise PartDied(process.name, end.result(), process.last_words())
            for companion in self._companions:
                if companion.done():
                    companion.result()
                    raise RuntimeError(f"{companion.get_name()} was to run until it is cancelled")
            return own.result()
        finally:
            await _end(own, asked, *ends)


async def _all(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Await them side by side; the first failure ends the others."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        await _end(*tasks)


async def _end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    # Gathered, so that an outcome nobody asked for is not complained about later.
    await asyncio.gather(*tasks, return_exceptions=True)
