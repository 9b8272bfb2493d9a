"""Leaving without hurting: clients are sent away in slices, each with a slot of its own to come back in.

uvicorn's shutdown closes all sockets at once, before FastAPI's lifespan ends: a drain there is too late. So the first
SIGTERM drains, and uvicorn's own shutdown comes after it. All clients at once would arrive elsewhere at once; so they
are spread over the drain's time, and each is told when to come back.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Final

from node.handshake import reconnect_frame
from node.hub import Hub
from shared.close_codes import CloseCode
from shared.serving import Server

logger = logging.getLogger(__name__)

_SLICE_INTERVAL: Final = 0.1  # s
_FIRST_RETRY_MS: Final = 100
_LAST_WORDS: Final = 1.0  # s for the last clients to answer the close


class Drain:
    """Sends all sessions away over ``seconds``; ``hurry`` ends it at once."""

    def __init__(self, hub: Hub, seconds: float) -> None:
        self._hub, self._seconds = hub, seconds
        self._hurry = asyncio.Event()
        self.total = 0

    def hurry(self) -> None:
        self._hurry.set()

    async def run(self) -> None:
        """Return when the last session is closed."""
        sessions = self._hub.connections.sessions
        self.total = len(sessions)
        random.shuffle(sessions)
        slices = max(int(self._seconds / _SLICE_INTERVAL), 1)
        size = -(-len(sessions) // slices) if sessions else 0
        logger.info("drain begins", extra={"connections": len(sessions), "seconds": self._seconds})
        while sessions and not self._hurry.is_set():
            for session in sessions[-size:]:
                # A slot of its own within what is left of the drain: they come back one by one.
                slot = _FIRST_RETRY_MS + random.randint(0, max(int(self._seconds * 250), 500))  # noqa: S311
                session.write(reconnect_frame(slot))
                session.close(CloseCode.SERVICE_RESTART, "this node leaves")
            del sessions[-size:]
            if sessions:
                await self._pause(_SLICE_INTERVAL)
        await self._hub.close_all(CloseCode.SERVICE_RESTART, "this node leaves")
        await self._last_words()
        logger.info("drain ended", extra={"connections": self.total})

    async def _last_words(self) -> None:
        deadline = self._hub.now() + _LAST_WORDS
        while self._hub.closing_sessions and self._hub.now() < deadline and not self._hurry.is_set():
            await self._pause(0.02)
        for session in list(self._hub.closing_sessions):
            session.abort(session.close_code)

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
