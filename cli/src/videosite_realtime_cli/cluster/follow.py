"""The parts' logs, mixed into the terminal as they grow, each line under its part's name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from videosite_realtime_cli.cluster.log_line import GRAVE, LogLine
from videosite_realtime_cli.terminal import legible

_LOOK_EVERY = 0.1
_AT_ONCE = 65536
_COLOURS = ("cyan", "magenta", "blue", "green", "yellow")


class Follower:
    """Reads on in the files of a directory, line by line."""

    def __init__(self, logs: Path, names: Callable[[], Sequence[str]]) -> None:
        self._logs, self._names = logs, names
        self._offsets: dict[str, int] = {}

    def news(self) -> list[tuple[str, str]]:
        """Return the complete lines since last time, with the names of their parts."""
        found = []
        for name in (*self._offsets, *(each for each in self._names() if each not in self._offsets)):
            found += [(name, line) for line in self._lines(name)]
        return found

    def _lines(self, name: str) -> list[str]:
        offset = self._offsets.setdefault(name, 0)
        try:
            with (self._logs / f"{name}.log").open("rb") as log:
                log.seek(offset)
                data = log.read(_AT_ONCE)
        except FileNotFoundError:
            return []
        # A line that is still being written waits for its end, unless it is longer than what we read at once.
        end = data.rfind(b"\n") + 1 or (len(data) if len(data) == _AT_ONCE else 0)
        self._offsets[name] = offset + end
        return data[:end].decode(errors="replace").splitlines()


class Printer:
    """Prints what the parts log: everything, or only what somebody should look at.

    Args:
        everything: otherwise lines from ``warning`` on, each with what follows it (a traceback).
    """

    def __init__(self, follower: Follower, console: Console, *, everything: bool) -> None:
        self._follower, self._console, self._everything = follower, console, everything
        self._grave: dict[str, bool] = {}  # per part, whether its present record is to be looked at

    async def run(self) -> None:
        """Print until cancelled; then once more, for their last words."""
        try:
            while True:
                self._print()
                await asyncio.sleep(_LOOK_EVERY)
        finally:
            self._print()

    def _print(self) -> None:
        for name, line in self._follower.news():
            read = LogLine.read(line)
            if read is not None:
                self._grave[name] = read.level in GRAVE
            if self._everything or self._grave.get(name):
                colour = _COLOURS[sum(name.encode()) % len(_COLOURS)]
                text = read.text() if read is not None else legible(line)
                self._console.print(Text.assemble((f"{name:<8} │ ", colour), text), soft_wrap=True)
