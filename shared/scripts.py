"""The Lua scripts, and how a server that has forgotten them is noticed.

A server that does not know our scripts has started anew, or is a promoted replica: it may have forgotten appends that
were answered. So the epochs of all hash tags are raised first, and only then are the scripts loaded: no append can come
in between, and no event id is issued twice.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from shared.errors import RedisRefused
from shared.keys import TAGS, Keys
from shared.redis_link import Argument, RedisLink, Reply, Wire


@dataclass(frozen=True, slots=True)
class Script:
    name: str
    source: bytes
    sha: bytes


def _load(name: str) -> Script:
    source = files("shared").joinpath("lua", f"{name}.lua").read_bytes()
    return Script(name, source, hashlib.sha1(source, usedforsecurity=False).hexdigest().encode())


PUBLISH: Final = _load("publish")
REGISTER: Final = _load("register")
CLEAR_NODE: Final = _load("clear_node")
LEASE: Final = _load("lease")
BURY: Final = _load("bury")
_RAISE_EPOCH: Final = _load("raise_epoch")
_ALL: Final = (PUBLISH, REGISTER, CLEAR_NODE, LEASE, BURY)


class Scripts:
    """Teaches a server our scripts; ``prepare`` is given to every :class:`RedisLink` that runs them."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def prepare(self, wire: Wire) -> None:
        known = await wire.send(b"SCRIPT", b"EXISTS", *(script.sha for script in _ALL))
        if not all(known):
            await self._teach(wire)

    async def _teach(self, to: Wire | RedisLink) -> None:
        await asyncio.gather(*(to.send(b"EVAL", _RAISE_EPOCH.source, 1, self._keys.seq(tag)) for tag in TAGS))
        await asyncio.gather(*(to.send(b"SCRIPT", b"LOAD", script.source) for script in _ALL))

    async def run(self, link: RedisLink, script: Script, keys: Iterable[str], args: Iterable[Argument]) -> Reply:
        """Run a script. Raises what :meth:`RedisLink.send` raises."""
        names = tuple(keys)
        command = (b"EVALSHA", script.sha, len(names), *names, *args)
        try:
            return await link.send(*command)
        except RedisRefused as exc:
            if not str(exc).startswith("NOSCRIPT"):
                raise
        # A refused call has done nothing, so that asking again is no repetition.
        await self._teach(link)
        return await link.send(*command)
