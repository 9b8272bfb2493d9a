"""Ports for servers of the tests' own."""

from __future__ import annotations

import random
import socket

LOOPBACK = "127.0.0.1"
# Below the kernel's ephemeral range: there a client that calls a stopped server may be given the port, or meet itself.
_RANGE = range(12_000, 32_000)
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
