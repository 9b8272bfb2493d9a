"""Where in a Redis Cluster the server is that holds a key: asked anew for every connection.

Any server of the cluster tells who holds which slots (``CLUSTER SLOTS``). It may be behind the times, or cut off from
the others, so whoever it names is asked to prove it: only the master that serves a slot answers for a key in it. If
that fails, another server is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis.asyncio as redis
from redis.asyncio.connection import AbstractConnection
from redis.crc import key_slot

from shared.errors import RedisUnavailable
from shared.redis_address import HostAndPort, RedisAddress, answer, text, written

_PATIENCE: Final = 1 / 3  # of the timeout, for each server that is asked: some may hang
_HOST_UNKNOWN: Final = "?"  # what a server says of one that has not told it its name yet
_FAILURES: Final = (redis.RedisError, RedisUnavailable, OSError)


@dataclass(frozen=True, slots=True)
class SlotRange:
    """Who serves some of the slots.

    Attributes:
        first, last: the slots, both included.
        servers: those whose address is known.
        master: one of them; None if its address is not known.
    """

    first: int
    last: int
    master: HostAndPort | None
    servers: tuple[HostAndPort, ...]


def read_slots(ranges: Iterable[Any], asked: HostAndPort) -> list[SlotRange]:
    """Read the answer to ``CLUSTER SLOTS``.

    Args:
        asked: who gave it; a server whose host it leaves out is to be reached where it is.
    """
    found = []
    for first, last, *servers in ranges:
        addresses = [_address(host, port, asked) for host, port, *_ in servers]
        known = tuple(address for address in addresses if address is not None)
        found.append(SlotRange(first, last, addresses[0] if addresses else None, known))
    return found


def _address(host: bytes | str | None, port: int, asked: HostAndPort) -> HostAndPort | None:
    if not host:
        return asked[0], port
    return None if text(host) == _HOST_UNKNOWN else (text(host), port)


class ClusterAddress(RedisAddress):
    """Knows how to reach the master of a key's slot; of several keys, the first one's that is there.

    Args:
        url: as for :class:`RedisAddress`; its host and port do not count.
        seeds: some of the cluster's servers.
        keys: nothing is done to them but asking whether they exist.
    """

    proof: tuple[str, ...]

    def __init__(
        self, url: str, *, seeds: Iterable[HostAndPort], keys: Sequence[str], options: dict[str, Any] | None = None
    ) -> None:
        super().__init__(url, options=options)
        self._seeds = tuple(seeds)
        self._servers = list(self._seeds)  # in the order in which they are asked
        self._slots = {key: key_slot(key.encode()) for key in keys}
        self._sought = f"slot {' or '.join(map(str, self._slots.values()))}"
        self._first = keys[0]
        self._lead_to(self._first)

    async def connect(self, *, name: str, timeout: float) -> AbstractConnection:
        """Return a new connection to a master that holds a key, authenticated and in RESP3.

        Raises:
            RedisUnavailable: no server leads to one; says what is wrong with each.
        """
        problems, tried = [], set[HostAndPort]()
        for server in list(self._servers):
            try:
                masters = await self._ask_for_masters(server, timeout * _PATIENCE)
                untried = {where: key for where, key in masters.items() if where not in tried}
                if not untried:
                    # Two agree, so the rest would: while a master is away, every process asks again and again. Whether
                    # the two are behind the times, the next two tell.
                    self._ask_last(server)
                    break
                tried.update(untried)
                connection = await self._open_first(untried, name, timeout)
            except _FAILURES as exc:
                problems.append(f"{written(server)}: {exc}")
                self._ask_last(server)
            else:
                if self.elsewhere:
                    self._ask_last(server)  # it may be behind the times, and the first one be there
                return connection
        raise RedisUnavailable(f"the Redis Cluster does not lead to {self._sought} ({'; '.join(problems)})")

    async def _ask_for_masters(self, server: HostAndPort, timeout: float) -> dict[HostAndPort, str]:
        """Return the masters in the order of the keys that they hold, each with the first of its keys."""
        connection = await self._open(server, timeout)
        try:
            ranges = read_slots(await answer(connection, "CLUSTER", "SLOTS"), server)
        finally:
            await connection.disconnect(nowait=True)
        holders = [
            (key, found) for key, slot in self._slots.items() for found in ranges if found.first <= slot <= found.last
        ]
        if not holders:
            raise RedisUnavailable(f"knows nobody who serves {self._sought}")
        # A server that has left the cluster is forgotten with the next answer; the seeds never are. One that knows
        # nobody (it was reset, or started anew without its file) is no reason to forget who was known.
        known = dict.fromkeys((*_all_servers(ranges), *self._seeds, server))
        self._servers = [
            *filter(known.__contains__, self._servers),
            *(one for one in known if one not in self._servers),
        ]
        masters: dict[HostAndPort, str] = {}
        for key, holder in holders:
            if holder.master is not None:
                masters.setdefault(holder.master, key)
        if not masters:
            raise RedisUnavailable(f"does not know the address of the master of {self._sought}")
        return masters

    async def _open_first(self, masters: dict[HostAndPort, str], name: str, timeout: float) -> AbstractConnection:
        """Return a connection to the first of them that is there."""
        problems = []
        for where, key in masters.items():
            try:
                # One that hangs leaves time for the others.
                connection = await self._open_proved(where, key, name, timeout / len(masters))
            except _FAILURES as exc:
                problems.append(str(exc))
            else:
                self._lead_to(key)
                return connection
        raise RedisUnavailable(", ".join(problems))

    def _lead_to(self, key: str) -> None:
        self.proof, self.elsewhere = _proof(key), key != self._first

    async def _open_proved(self, where: HostAndPort, key: str, name: str, timeout: float) -> AbstractConnection:
        """Return a connection to a server that serves a key's slot, by its own word and not only by another's."""
        there = written(where)
        try:
            connection = await self._open(where, timeout, client_name=name)
        except _FAILURES as exc:
            raise RedisUnavailable(f"names {there} as master, which cannot be reached ({exc})") from exc
        try:
            await answer(connection, *_proof(key))
        except redis.ResponseError as exc:
            raise RedisUnavailable(f"names {there} as master, which does not serve the slot now ({exc})") from exc
        return connection

    def _ask_last(self, server: HostAndPort) -> None:
        if server in self._servers:
            self._servers.remove(server)
            self._servers.append(server)


def _proof(key: str) -> tuple[str, ...]:
    return "EXISTS", key


def _all_servers(ranges: Iterable[SlotRange]) -> Iterator[HostAndPort]:
    for found in ranges:
        yield from found.servers
