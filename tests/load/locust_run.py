"""Runs Locust as its users would, and reads the files that it leaves."""

from __future__ import annotations

import asyncio
import csv
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.process import ROOT

LOCUST = (sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--headless")
LOCAL = (sys.executable, "-m", "loadtests.local")


@dataclass
class Run:
    """What a run left.

    Attributes:
        samples: by type and name of a row, how many there were.
        failures: by type, name and words, how often.
    """

    status: int
    output: str
    directory: Path

    @property
    def samples(self) -> dict[tuple[str, str], int]:
        rows = self._csv("load_stats.csv")
        return {(row["Type"], row["Name"]): int(row["Request Count"]) for row in rows}

    @property
    def failures(self) -> dict[tuple[str, str, str], int]:
        rows = self._csv("load_failures.csv")
        return {(row["Method"], row["Name"], row["Error"]): int(row["Occurrences"]) for row in rows}

    def _csv(self, name: str) -> list[dict[str, str]]:
        with (self.directory / name).open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


async def _nothing(_: int) -> None: ...


async def run(
    command: Sequence[str],
    directory: Path,
    *,
    env: Mapping[str, str],
    meanwhile: Callable[[int], Awaitable[None]] = _nothing,
) -> Run:
    """Run to the end; HTML report and CSV files are wanted too.

    Args:
        meanwhile: what is done to the process of this id while it runs.
    """
    reports = ("--only-summary", "--html", str(directory / "report.html"), "--csv", str(directory / "load"))
    process = await asyncio.create_subprocess_exec(
        *command, *reports, cwd=ROOT, env=dict(env), stdout=PIPE, stderr=STDOUT
    )
    try:
        (output, _), _ = await asyncio.gather(process.communicate(), meanwhile(process.pid))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Run(process.returncode or 0, output.decode(), directory)
