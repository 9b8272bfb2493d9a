"""The Lua scripts, and what is done when a server has forgotten them.

A server that does not know our scripts has restarted, or is a promoted replica: it may have forgotten appends that were
already answered. So the epochs of all hash tags are raised first, and only then are the scripts loaded: no append can
happen in between, and no event id is issued twice.

In a Redis Cluster each hash tag has its own master, and all this is done per tag, over the tag's connection. Where two
tags live on one server, the scripts may be loaded before the second tag's epoch is raised. No append happens in between
all the same: a server that has restarted has only new connections, and each raises its tag's epoch first.

A master that was demoted and promoted again without a restart still knows the scripts. The run id stored beside each
epoch shows that: meanwhile another server was master, and it is that server's.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from shared.errors import RedisError, RedisRefused
from shared.keys import TAGS, Keys, tag_of
from shared.link import Link
from shared.redis_link import RedisLink
from shared.redis_wire import Argument, Reply, Wire


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
FORGET_STATES: Final = _load("forget_states")
TAKE_OFF: Final = _load("take_off")
QUEUE_TAKE: Final = _load("queue_take")
QUEUE_SETTLE: Final = _load("queue_settle")
_RAISE_EPOCH: Final = _load("raise_epoch")
_ALL: Final = (
    PUBLISH,
    REGISTER,
    CLEAR_NODE,
    LEASE,
    BURY,
    FORGET_STATES,
    TAKE_OFF,
    QUEUE_TAKE,
    QUEUE_SETTLE,
)
NAMES: Final = {script.sha: script.name for script in _ALL}  # by SHA-1


class Scripts:
    """Teaches a server our scripts; ``prepare`` is given to every :class:`RedisLink` that runs them."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def prepare(self, wire: Wire, tags: Sequence[str] = TAGS) -> None:
        """Raise the epochs of the tags that live on a server and load the scripts, unless both was done before."""
        known, info, *runs = await asyncio.gather(
            wire.send(b"SCRIPT", b"EXISTS", *(script.sha for script in _ALL)),
            wire.send(b"INFO", b"server"),
            *(wire.send(b"HGET", self._keys.seq(tag), b"#run") for tag in tags),
        )
        run = _run_id(info)
        if not all(known) or any(raised_for != run.encode() for raised_for in runs):
            await self._teach(wire, tags, run)

    async def _teach(self, to: Wire | RedisLink, tags: Sequence[str], run: str) -> None:
        await asyncio.gather(*(to.send(b"EVAL", _RAISE_EPOCH.source, 1, self._keys.seq(tag), run) for tag in tags))
        await asyncio.gather(*(to.send(b"SCRIPT", b"LOAD", script.source) for script in _ALL))

    async def run(self, link: Link, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Reply:
        """Run a script. Raises what :meth:`RedisLink.send` raises."""
        (reply,) = await self.run_all(link, script, [(keys, args)])
        return reply

    async def run_all(
        self, link: Link, script: Script, calls: Iterable[tuple[Sequence[str], Sequence[Argument]]]
    ) -> list[Reply]:
        """Run a script with several keys and arguments; all calls leave together, without a task for each.

        Raises what :meth:`RedisLink.send` raises, once all calls have their answer: nothing goes on unobserved.
        """
        commands = [(b"EVALSHA", script.sha, len(keys), *keys, *args) for keys, args in calls]
        futures = [link.send(*command) for command in commands]
        await _all_done(futures)
        if not any(_is_unknown(future) for future in futures):
            return [future.result() for future in futures]
        # A refused call has done nothing, so it may be sent again.
        ignorant = {link.of(tag_of(c[3])) for c, f in zip(commands, futures, strict=True) if _is_unknown(f)}
        for server in ignorant:
            await self._teach(server, server.tags, _run_id(await server.send(b"INFO", b"server")))
        again = [link.send(*c) if _is_unknown(f) else f for c, f in zip(commands, futures, strict=True)]
        await _all_done(again)
        return [future.result() for future in again]


def _run_id(info: bytes | str) -> str:
    """Return the server's run id, which is new at each of its starts."""
    text = info.decode() if isinstance(info, bytes) else info
    return next(line.partition(":")[2] for line in text.splitlines() if line.startswith("run_id:"))


async def _all_done(futures: Iterable[asyncio.Future[Reply]]) -> None:
    for future in futures:
        with contextlib.suppress(RedisError):
            await future


def _is_unknown(future: asyncio.Future[Reply]) -> bool:
    """Whether the server refused a call because it does not know the script."""
    failure = future.exception()
    return isinstance(failure, RedisRefused) and str(failure).startswith("NOSCRIPT")
