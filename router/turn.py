"""A short lock by which one of all routers does a piece of work that all could do.

It saves double work, and no more: a router that was paused may still believe that it has the turn, so the work itself
must tolerate being done twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import Final

from shared.errors import RedisError, RedisRefused
from shared.link import Link

TURN_MS: Final = 5000
GIVE_BACK: Final = 1.0  # s; a turn that cannot be given back runs out soon anyway


class Turn:
    """A short lock in Redis; it is kept by taking it again."""

    def __init__(self, link: Link, key: str) -> None:
        self._link, self._key = link, key
        self._me = secrets.token_hex(8).encode()

    async def take(self) -> bool:
        """Take the turn, or keep it. Raises ``RedisError``."""
        try:
            holder = await self._link.send("SET", self._key, self._me, "NX", "GET", "PX", TURN_MS)
        except RedisRefused as exc:
            if not str(exc).startswith("OOM"):
                raise
            # The work may be what gives a full Redis room again. Without a holder it is then the turn of all.
            holder = await self._link.send("GET", self._key)
        if holder == self._me:
            await self._link.send("PEXPIRE", self._key, TURN_MS)
        return holder in (None, self._me)

    async def give_back(self) -> None:
        """Give the turn up at once, so that another may take it; do nothing if it is not ours."""
        with contextlib.suppress(RedisError, TimeoutError):
            async with asyncio.timeout(GIVE_BACK):
                if await self._link.send("GET", self._key) == self._me:
                    await self._link.send("PEXPIRE", self._key, 0)  # DEL is not among the shipped user's rights
