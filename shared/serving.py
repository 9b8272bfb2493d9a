"""Serving with uvicorn inside a loop and an exit stack of our own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Final

import uvicorn
import uvloop

from shared.errors import RealtimeError
from shared.http_protocol import DeadlineProtocol

_BACKLOG: Final = 4096
# Bytes that the kernel buffers for a client beyond those in flight. By default it would buffer 4 MB for a client that
# has stopped reading: this counts as our memory, and must fill up before the node notices that the client is slow.
UNSENT_MAX: Final = 128 * 1024
GRACE: Final = 5  # s that running requests get to end
_TLS_FAILED: Final = "Fatal error on SSL protocol"  # uvloop's words, as the next ones
_SOCKET_CLOSED: Final = "the handler is closed"


class PortTaken(RealtimeError):
    def __init__(self, host: str, port: int, reason: str) -> None:
        self.host, self.port, self.reason = host, port, reason
        super().__init__(host, port, reason)

    def __str__(self) -> str:
        return f"cannot listen on {self.host}:{self.port}: {self.reason}"


def server_config(app: Any, *, trusted_proxies: Sequence[str] = (), grace: int = GRACE, **more: Any) -> uvicorn.Config:
    """Return uvicorn's settings as our services want them: our logs, no access log (it shows tokens), no lifespan.

    Args:
        trusted_proxies: addresses and networks whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed.
        grace: s that running requests get to end.
    """
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        lifespan="off",
        timeout_graceful_shutdown=grace,
        # No WebSockets: uvicorn would not answer a broken upgrade, and would keep its connection for ever.
        **{"http": DeadlineProtocol, "ws": "none", **more},
    )


def listen(host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """Return a listening socket; several processes share a port with ``reuse_port``.

    Raises:
        PortTaken: the address is in use, not ours, or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_MAX)  # handed down to what it accepts
    try:
        sock.bind((host, port))
        sock.listen(_BACKLOG)
    except OSError as exc:
        sock.close()
        raise PortTaken(host, port, exc.strerror or str(exc)) from exc
    sock.setblocking(False)
    return sock


class Server(uvicorn.Server):
    """A uvicorn server that leaves signals to its owner.

    uvicorn raises a caught signal again when it has finished: the process would end before our exit stack unwinds.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """Ask for an orderly end; the second time, for an immediate one."""
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True


def run(serve: Callable[[], Coroutine[Any, Any, None]], name: str) -> int:
    """Run a service to its end and return its exit status; what stops it from starting is one line on stderr."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.get_loop().set_exception_handler(_unless_given_up)
            runner.run(serve())
    except RealtimeError as exc:
        print(f"{name}: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _unless_given_up(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log errors that nobody caught, except those of TLS connections that were given up during their handshake.

    uvloop may finish its handshake on a socket that it has closed by then, and calls that fatal. Whoever wanted the
    connection has said what became of it.
    """
    error = context.get("exception")
    if not (isinstance(error, RuntimeError) and _SOCKET_CLOSED in str(error) and context["message"] == _TLS_FAILED):
        loop.default_exception_handler(context)


def calm_the_collector() -> None:
    """Exclude the objects built at start from garbage collection, and make full collections rare.

    Nothing here makes cycles per message or connection. With the defaults, collections cost a router a fifth of its
    time, and with 5,000 connections a full one stops a node for hundreds of ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def on_stop_signals(stop: Callable[[], None]) -> None:
    """Call ``stop`` at every SIGTERM and SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
