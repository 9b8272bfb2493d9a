"""Nodes and routers without half a second of imports each: forked off a process that has imported them already.

A test run starts a thousand of them, and most of its time went into reading the same modules. What is forked is a
process with an environment, sockets and an end of its own, and it runs what ``python -m`` does.
Where a setting is read while modules are imported, and for measuring, services are started from nothing.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from multiprocessing import forkserver
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
MODULES: Final = ("node", "router")
# By OpenTelemetry, and by the interpreter.
_READ_AT_IMPORT: Final = ("OTEL_PROPAGATORS", "OTEL_PYTHON_", "OTEL_SPAN_ATTRIBUTE_", "PYTHON")
_PR_SET_PDEATHSIG: Final = 1

_context: Final = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.support.cradle"])


class Fork:
    """A forked service; see :class:`tests.support.process.Child`."""

    def __init__(self, module: str, env: Mapping[str, str], log: Path) -> None:
        self._process = _context.Process(target=_live, args=(module, dict(env), log), daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        """Return its exit status; a negative number is the signal that ended it, None: it runs."""
        return self._process.exitcode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)


def can_fork(module: str, env: Mapping[str, str]) -> bool:
    """Whether a forked service would be what ``python -m`` starts."""
    return module in MODULES and not any(name.startswith(_READ_AT_IMPORT) for name in env)


def close() -> None:
    """End the process that forks, and wait for it: only then is what its services worked counted as ours."""
    forkserver._forkserver._stop()


def _live(module: str, env: dict[str, str], log: Path) -> None:
    # The kernel ends it with the server that forked it, which ends when nobody holds this pipe: the tests alone are to.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.close(forkserver._forkserver._forkserver_alive_fd)
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(env)
    with log.open("ab") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    sys.argv = [module]
    try:
        sys.exit(importlib.import_module(f"{module}.__main__").main())
    finally:
        atexit._run_exitfuncs()  # multiprocessing's children leave without
