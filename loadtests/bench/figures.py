"""What processes have cost, from /proc: CPU of user and system, and memory that is theirs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return what a process has used so far; to 10 ms, as the kernel tells it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


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
