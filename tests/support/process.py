"""A process of the tests' own: its output in a file, its end within bounds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
_LEASH = ROOT / "cli/src/videosite_realtime_cli/cluster/leash.py"
_ENDING = 30.0  # s, on a busy machine; half of the longest drain that a test makes
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")  # nothing that is a setting of ours


class Child(Protocol):
    """What has been started, as :class:`subprocess.Popen` shows it."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def send_signal(self, sig: int) -> None: ...


class Process:
    """Something that runs, and may be started again after it has ended. Ends nothing but what it started."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.name, self.command, self.env, self.log_file = name, list(command), dict(env), log
        self._child: Child | None = None

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def launch(self) -> None:
        """Start it without waiting for it to be of use."""
        assert not self.running, f"{self.name} runs already"
        self._child = self._begin({name: os.environ[name] for name in _KEPT if name in os.environ} | self.env)

    def _begin(self, env: dict[str, str]) -> Child:
        command = self.command
        if _LEASH.exists():  # the kernel ends it with us, however we end
            command = [sys.executable, "-IS", str(_LEASH), str(os.getpid()), *command]
        with self.log_file.open("ab") as log:
            return subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        return self._started.pid

    @property
    def _started(self) -> Child:
        assert self._child is not None, f"{self.name} was never started"
        return self._child

    async def exit_status(self, timeout: float = _ENDING) -> int:
        """Wait for its end; a negative number is the signal that ended it."""
        await until(lambda: not self.running, timeout=timeout)
        status = self._started.poll()
        assert status is not None
        return status

    def signal(self, number: signal.Signals) -> None:
        if self.running:
            self._started.send_signal(number)

    def pause(self) -> None:
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    async def kill(self) -> None:
        """End it as a power cut would."""
        self.signal(signal.SIGKILL)
        await self.exit_status()

    async def terminate(self, timeout: float = _ENDING) -> int:
        """Ask it to end and return its exit status."""
        self.signal(signal.SIGTERM)
        return await self.exit_status(timeout)

    async def end(self, timeout: float = _ENDING) -> None:
        """End it one way or the other."""
        if not self.running:
            return
        self.resume()
        try:
            await self.terminate(timeout)
        except AssertionError:
            await self.kill()
            raise

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def log_tail(self, lines: int = 60) -> str:
        return "\n".join(self.log().splitlines()[-lines:])


def lives(pid: int) -> bool:
    """Whether a process, perhaps none of ours, is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or between that and the reading
        return False
