"""Ports for servers of the tests' own."""

from __future__ import annotations

import os
import random
import socket

LOOPBACK = "127.0.0.1"
# Below the kernel's ephemeral range: there a client that calls a stopped server may be given the port, or meet itself.
# Each worker of pytest or Playwright has its own: a port whose server is down for a moment is still somebody's.
_WORKERS = 16
_NAMED = os.environ.get("PYTEST_XDIST_WORKER") or os.environ.get("TEST_PARALLEL_INDEX") or "0"
_WORKER = int(_NAMED.removeprefix("gw")) % _WORKERS
_RANGE = range(12_000 + _WORKER, 32_000, _WORKERS)
_given: set[int] = set()


def free_port() -> int:
    """Return a loopback port that nobody listens on and that was not given away before."""
    while True:
        port = random.choice(_RANGE)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        _given.add(port)
        return port
