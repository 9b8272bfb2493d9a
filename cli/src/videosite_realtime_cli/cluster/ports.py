"""Are the ports free? Asked before anything is started, so that the answer is one line and nothing has to be undone."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from videosite_realtime_cli.errors import PortInUse

LOOPBACK = "127.0.0.1"
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Claim:
    """A port, what it is for, and the option that chooses it."""

    port: int
    purpose: str
    option: str


def check(claims: Iterable[Claim], host: str = LOOPBACK) -> None:
    """Return if every port can be had.

    Raises:
        PortInUse: names the first that cannot, and why.
    """
    wanted: dict[int, Claim] = {}
    for claim in claims:
        if claim.port > _LAST_PORT:
            raise PortInUse(claim.port, claim.purpose, claim.option, "does not exist")
        if claim.port in wanted:
            raise PortInUse(claim.port, claim.purpose, claim.option, f"goes to {wanted[claim.port].purpose} already")
        wanted[claim.port] = claim
        _try(claim, host)


def free_port(host: str = LOOPBACK) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _try(claim: Claim, host: str) -> None:
    # Without SO_REUSEPORT: sharing a port with nodes of another cluster would mix the two up.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT take no port away
        try:
            probe.bind((host, claim.port))
        except OSError as error:
            reason = {errno.EADDRINUSE: "is in use", errno.EACCES: "needs privileges"}.get(error.errno or 0, str(error))
            raise PortInUse(claim.port, claim.purpose, claim.option, reason) from error
