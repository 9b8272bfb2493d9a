"""What processes have cost, from /proc: CPU of user and system, and memory that is theirs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """Return what the threads of a process have used so far, user and system, to the ns.

    ``/proc/<pid>/stat`` would tell it to 10 ms only: as much as an idle Redis uses in four seconds.
    """
    spent = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it ended just now
            spent += int((thread / "schedstat").read_text().split()[0])
    return spent / 1e9


def pss_kib(pids: Iterable[int]) -> int:
    """Return the proportional set size: what it shares with others is shared out."""
    lines = (line for pid in pids for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


class Cpu:
    """CPU of named processes since it was made, or since ``reset``."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self.reset()

    def reset(self) -> None:
        self._began = {name: cpu_seconds(pid) for name, pid in self._pids.items()}

    def used(self) -> dict[str, float]:
        return {name: cpu_seconds(pid) - self._began[name] for name, pid in self._pids.items()}

    def total(self) -> float:
        return sum(self.used().values())
