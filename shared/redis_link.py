"""One supervised connection to Redis; commands that wait are sent together.

:class:`~shared.redis_address.RedisAddress` makes, secures and authenticates a connection by redis-py; then its socket
is handed to :class:`~shared.redis_wire.Wire`.

Commands are never retried here: only the caller knows whether repeating one does harm.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

import redis.asyncio as redis

from shared.command_times import CommandTimes
from shared.errors import RedisError, RedisUnavailable
from shared.keys import TAGS
from shared.redis_address import RedisAddress
from shared.redis_wire import Argument, Push, Reply, Wire
from shared.server_clock import ServerClock
from shared.tasks import observe, stop_the_process

logger = logging.getLogger(__name__)


_WATCH_INTERVAL = 0.25  # s; how often a connection is checked for an answer that is overdue
_PROBE = 2.0  # s between questions for the time: they prove that the connection lives, and keep the clock's offset true
_FIRST_PROBES = 5  # at once, for one of them will be quick
_BACKOFF = (0.05, 2.0)  # s; first and longest pause between attempts to connect, jittered


class RedisLink:
    """A connection that comes back by itself; an async context manager.

    Args:
        server: where it is, or its ``redis://``, ``rediss://`` or ``unix://`` address.
        name: shown by ``CLIENT LIST``.
        timeout: seconds without an answer after which the connection counts as hung and is replaced.
        prepare: awaited with every new connection before anybody else may use it.
        on_push: called with every push message (subscriptions, published messages).
        times: where it is noted how long commands took.
        tags: the hash tags that live on this server.
    """

    def __init__(
        self,
        server: RedisAddress | str,
        *,
        name: str,
        timeout: float = 3.0,
        prepare: Callable[[Wire], Awaitable[None]] | None = None,
        on_push: Push | None = None,
        times: CommandTimes | None = None,
        tags: Sequence[str] = TAGS,
    ) -> None:
        self.timeout = timeout
        self.tags = tuple(tags)
        self.reconnects = 0
        self._server = RedisAddress(server) if isinstance(server, str) else server
        self._name, self._prepare, self._on_push = name, prepare, on_push
        self._times = times or CommandTimes({})
        self._wire: Wire | None = None
        self._up = asyncio.Event()
        self._down_since: float | None = time.monotonic()
        self._up_since = 0.0
        self.clock = ServerClock()
        self._supervisor: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._supervisor = asyncio.create_task(self._supervise(), name=f"redis link {self._name}")
        self._supervisor.add_done_callback(stop_the_process)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        task, self._supervisor = self._supervisor, None
        if task is not None:
            task.remove_done_callback(stop_the_process)
        while task is not None and not task.done():
            task.cancel()  # more than once: while redis-py connects, a cancellation may be swallowed
            await asyncio.wait((task,), timeout=0.5)

    @property
    def parts(self) -> Sequence[RedisLink]:
        return (self,)

    def of(self, tag: str) -> RedisLink:
        """Return this: one server holds every hash tag. See :class:`shared.link.Link`."""
        return self

    @property
    def connected(self) -> bool:
        return self._wire is not None

    @property
    def down_for(self) -> float:
        """Seconds since the connection was lost; 0 while it is up."""
        return 0.0 if self._down_since is None else time.monotonic() - self._down_since

    @property
    def up_for(self) -> float:
        """Seconds since the connection was made; 0 while there is none."""
        return 0.0 if self._wire is None else time.monotonic() - self._up_since

    async def wait_connected(self, timeout: float | None = None) -> bool:
        """Wait until the link is up; False if that took longer than ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._up.wait()
        except TimeoutError:
            return False
        return True

    def server_ms(self) -> int:
        """Return what the server's clock shows now, in ms; right within the time of a round trip."""
        return self.server_us() // 1000

    def server_us(self) -> int:
        """Return what the server's clock shows now, in µs."""
        return self.clock.now_us()

    def send(self, *args: Argument) -> asyncio.Future[Reply]:
        """Send one command; the future yields its reply (bytes, int, list, dict, None).

        Raises (through the future):
            RedisUnavailable: not connected, or the server is not the one to ask; nothing was done.
            OutcomeUnknown: the connection was lost, or hung for ``timeout`` seconds, before the answer came.
            RedisRefused: an error reply.
        """
        if self._wire is None:
            future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            future.set_exception(RedisUnavailable(f"no connection to Redis for {self.down_for:.1f} s"))
            return future
        return self._wire.send(*args)

    def tell(self, *args: Argument) -> None:
        """Send a command that is answered by pushes alone; nothing happens while the link is down."""
        if self._wire is not None:
            self._wire.tell(*args)

    def drop(self) -> None:
        """Give the present connection up and make a new one."""
        if self._wire is not None:
            self._wire.abort()

    async def _supervise(self) -> None:
        pause = brief = _BACKOFF[0]
        attempts = 0
        while True:
            try:
                wire = await self._connect()
            except (redis.RedisError, RedisError, OSError, TimeoutError) as exc:
                attempts += 1
                self._tell(exc, attempts)
                pause = await _rest(pause)
                continue
            logger.info("redis is there", extra={"link": self._name, "seconds": self._away(), "attempts": attempts + 1})
            pause, attempts = _BACKOFF[0], 0
            self._wire, self._down_since, self._up_since = wire, None, time.monotonic()
            self._up.set()
            try:
                await self._watch(wire)
            finally:
                self._wire, self._down_since = None, time.monotonic()
                self._up.clear()
                self.reconnects += 1
                wire.abort()
            logger.warning("redis connection lost", extra={"link": self._name})
            # A server may accept connections and then refuse writes: one that is cut off from its Redis Cluster and has
            # cluster-allow-reads-when-down. Without a pause we would reconnect to it at full speed.
            lasted = time.monotonic() - self._up_since
            brief = _BACKOFF[0] if lasted > _BACKOFF[1] else await _rest(brief)

    def _tell(self, exc: Exception, attempts: int) -> None:
        error = str(exc)
        if error.startswith("MOVED") and self._server.proof is None:
            error += " (this is one server of a Redis Cluster: REDIS_CLUSTER_NODES)"
        told = {"link": self._name, "seconds": self._away(), "attempts": attempts, "error": error}
        if attempts == 1:
            logger.warning("redis is away", extra=told)
        else:  # it is news once, however long it lasts
            logger.debug("redis is still away", extra=told)

    def _away(self) -> float:
        return round(self.down_for, 1)

    async def _connect(self) -> Wire:
        wire = Wire(asyncio.get_running_loop(), self._on_push, self._times)
        try:
            async with asyncio.timeout(2 * self.timeout):
                wire.take_over(await self._server.connect(name=self._name, timeout=self.timeout))
                for _ in range(_FIRST_PROBES):
                    await self._read_clock(wire)
                if self._prepare is not None:
                    await self._prepare(wire)
        except BaseException:
            wire.abort()
            raise
        return wire

    async def _watch(self, wire: Wire) -> None:
        """Return once the connection is lost or hangs."""
        loop = asyncio.get_running_loop()
        probed = loop.time()
        while not wire.closed.done():
            due = loop.time() + _WATCH_INTERVAL
            await asyncio.wait((wire.closed,), timeout=_WATCH_INTERVAL)
            # What this process slept through itself is no hang: answers that came meanwhile have not been read yet.
            slept = max(loop.time() - due, 0.0)
            if wire.overdue(self.timeout + slept):
                logger.warning("redis hangs; the connection is replaced", extra={"link": self._name})
                return
            if loop.time() - probed >= _PROBE:
                probed = loop.time()
                if self._server.proof is not None:
                    # An idle connection would not notice that its server was demoted and promoted again, and would go
                    # on in an old epoch.
                    wire.send(*self._server.proof).add_done_callback(observe)
                with contextlib.suppress(RedisError):
                    await self._read_clock(wire)

    async def _read_clock(self, wire: Wire) -> None:
        before = time.monotonic()
        reply = wire.send(b"TIME")
        done, _ = await asyncio.wait((reply,), timeout=self.timeout)
        if not done:
            wire.abort()
        seconds, micros = await reply
        self.clock.take(int(seconds) * 1_000_000 + int(micros), before, time.monotonic())


async def _rest(pause: float) -> float:
    """Wait before the next attempt; return how long to wait before the one after it, s."""
    await asyncio.sleep(random.uniform(0.5, 1) * pause)  # noqa: S311
    return min(pause * 2, _BACKOFF[1])
