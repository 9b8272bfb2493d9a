"""Sends all clients away before the process ends: in slices, each client with a delay of its own before it reconnects.

uvicorn's shutdown closes all sockets at once, before FastAPI's lifespan ends, where a drain would come too late. So the
first SIGTERM drains, and uvicorn's own shutdown comes after it. Clients are sent away over the drain's time and told
when to reconnect, so that they do not all arrive at other nodes at once.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Final

from opentelemetry.trace import SpanKind

from node.hub import Hub
from node.session import Session
from shared import spans
from shared.close_codes import CloseCode
from shared.serving import Server
from shared.tracing import Tracing

logger = logging.getLogger(__name__)

_SLICE_INTERVAL: Final = 0.1  # s
_FIRST_RETRY_MS: Final = 100
_RETRY_SPREAD: Final = 0.25  # of the drain's time: a slice of a tenth of a second arrives over that long
_LEAST_SPREAD: Final = 0.5  # s
_TELL_EVERY: Final = 5.0  # s between two lines that say how far it is
LAST_WORDS: Final = 1.0  # s for the last clients to answer the close
CALLS: Final = 3  # s for what was asked by HTTP: it is answered within ms, or waits for what hangs


class Drain:
    """Sends all sessions away over ``seconds``; ``hurry`` sends away the rest at once."""

    def __init__(self, hub: Hub, seconds: float, tracing: Tracing | None = None) -> None:
        self._hub, self.seconds, self._tracing = hub, seconds, tracing
        self._hurry = asyncio.Event()
        self._began_at: float | None = None
        self.total = 0

    @property
    def lasts_for(self) -> float:
        """Seconds since it began; 0 before."""
        return 0.0 if self._began_at is None else self._hub.now() - self._began_at

    @property
    def progress(self) -> float:
        """The fraction of the clients that has been sent away, 0 to 1."""
        if self._began_at is None:
            return 0.0
        return 1 - len(self._hub.connections.all.sessions) / self.total if self.total else 1.0

    def hurry(self) -> None:
        self._hurry.set()

    async def run(self) -> None:
        """Return when the last session is closed."""
        span = self._tracing.begin_rare(spans.DRAIN, SpanKind.INTERNAL) if self._tracing is not None else None
        try:
            await self._run()
        finally:
            if span is not None:
                span.set_attributes({spans.CONNECTIONS: self.total, spans.HURRIED: self._hurry.is_set()})
                span.end()

    async def _run(self) -> None:
        sessions = self._hub.connections.sessions
        self.total = len(sessions)
        random.shuffle(sessions)
        logger.info("drain begins", extra={"connections": self.total, "seconds": self.seconds})
        self._began_at = began = tell_at = self._hub.now()
        ends_at = began + self.seconds
        left = self._left(ends_at)
        while sessions and not self._hurry.is_set():
            # By the clock, not by counted slices: a node that is busy must not drain for longer.
            stay = int(self.total * left)
            self._send_away(sessions[stay:], self.seconds * _RETRY_SPREAD)
            del sessions[stay:]
            if sessions:
                await self._pause(_SLICE_INTERVAL)
            if self._hub.now() - tell_at >= _TELL_EVERY:
                tell_at = self._hub.now()
                logger.info("drain goes on", extra={"connections": len(sessions), "of": self.total})
            left = self._left(ends_at)
        # In a hurry all are sent away at once, but told to reconnect spread over what was left of the drain.
        self._send_away(self._hub.connections.sessions, self.seconds * left)
        self._hub.cancel_tasks()
        cut_off = await self._last_words()
        took = round(self._hub.now() - began, 1)
        told = {"connections": self.total, "cut_off": cut_off, "seconds": took, "hurried": self._hurry.is_set()}
        logger.info("drain ended", extra=told)

    def _left(self, ends_at: float) -> float:
        """Return the fraction of the drain's time that is left, 1 to 0."""
        return max(ends_at - self._hub.now(), 0.0) / self.seconds if self.seconds else 0.0

    def _send_away(self, sessions: list[Session], spread: float) -> None:
        """Close sessions; each is told a random time within ``spread`` seconds after which to reconnect."""
        last = _FIRST_RETRY_MS + int(max(spread, _LEAST_SPREAD) * 1000)
        for session in sessions:
            slot = random.randint(_FIRST_RETRY_MS, last)  # noqa: S311
            session.send_away(CloseCode.SERVICE_RESTART, "this node leaves", slot)

    async def _last_words(self) -> int:
        """Wait for the last clients to answer the close; return how many did not."""
        deadline = self._hub.now() + LAST_WORDS
        while self._hub.closing_sessions and self._hub.now() < deadline and not self._hurry.is_set():
            await self._pause(0.02)
        silent = list(self._hub.closing_sessions)
        for session in silent:
            session.abort(session.close_code)
        return len(silent)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            return


class DrainingServer(Server):
    """A uvicorn server that drains its sessions before it shuts down."""

    drain: Drain

    async def shutdown(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        # The listener first: with SO_REUSEPORT the kernel would keep feeding it.
        for server in self.servers:
            server.close()
        await self.drain.run()
        await super().shutdown(sockets)  # type: ignore[arg-type]

    def stop(self) -> None:
        if self.should_exit:
            self.drain.hurry()
        super().stop()
