"""A client as the specification has it: it comes back, says what it has, and keeps all that it was sent.

Cheap: one task and one small reader per client, and a message that hundreds hear is parsed once.
"""

from __future__ import annotations

import asyncio
import json
import random
import struct
import time
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from tests.support import raw_client
from tests.support.cluster import socket_path
from tests.support.raw_client import RawClient

Message = dict[str, Any]

_OPEN_TIMEOUT = 5.0  # s for the first frame
_BACKOFF = (0.2, 3.0)  # s; the first wait and the longest one, jittered
_HOPELESS = frozenset({1002, 1003, 1007, 1009, 4401, 4403})  # to come back unchanged would be wrong


class Received(NamedTuple):
    """A message of a producer's, and when it came: s, monotonic."""

    message: Message
    at: float


@lru_cache(maxsize=4096)
def _parsed(payload: bytes) -> Message:
    return json.loads(payload)  # shared by all who hear it: nobody may change it


class Viewer:
    """Watches until it is cancelled, on whichever node it finds.

    Args:
        ports: the nodes', or what stands before them. ``at`` is an index of it.
        ping_every: s between pings; silence for thrice as long counts as a dead connection.

    Attributes:
        received: events and states in the order in which they came.
        positions: the last id of each stream: what it comes back with.
        progress: the last progress that it was shown, by video.
        welcomes: of every connection the ``recovered`` that it was told.
        closes: how connections ended: close codes, 1006 without one.
        complaints: what may not happen to a client that behaves.
        at: where it is connected and welcomed; None while it is not.
    """

    def __init__(
        self, name: str, token: str, ports: Sequence[int], *, admin: bool, dice: random.Random, ping_every: float = 2.0
    ) -> None:
        self.name, self.admin = name, admin
        self.received: list[Received] = []
        self.positions: dict[str, str] = {}
        self.progress: dict[int, float] = {}
        self.welcomes: list[bool | None] = []
        self.closes: Counter[int] = Counter()
        self.complaints: list[str] = []
        self.at: int | None = None
        self._token, self._ports, self._dice, self._ping_every = token, ports, dice, ping_every
        self._next = dice.randrange(len(ports))
        self._failures = 0
        self._retry_after: float | None = None

    @property
    def reconnects(self) -> int:
        return max(len(self.welcomes) - 1, 0)

    async def watch(self) -> None:
        while True:
            try:
                code = await self._connection()
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                code = 1006
            except AssertionError as exc:
                code = 1006
                self.complaints.append(f"not what a node may send: {exc}")
            finally:
                self.at = None
            self.closes[code] += 1
            if code in _HOPELESS:
                self.complaints.append(f"closed with {code}")
            await asyncio.sleep(self._pause())
            self._next = self._dice.randrange(len(self._ports))

    def _pause(self) -> float:
        """Return how long to wait: as long as the node asked for, or more the more often it failed."""
        asked, self._retry_after = self._retry_after, None
        if asked is not None:
            return asked
        self._failures += 1
        return min(_BACKOFF[1], _BACKOFF[0] * 2 ** (self._failures - 1)) * self._dice.uniform(0.5, 1)

    async def _connection(self) -> int:
        """Live through one connection and return how it ended."""
        query = {"token": self._token}
        if self.positions:
            query["since"] = ",".join(self.positions.values())
        target = socket_path(admin=self.admin, **query)
        async with await RawClient.open(self._ports[self._next], target, timeout=_OPEN_TIMEOUT) as client:
            pinging = asyncio.create_task(self._ping(client))
            try:
                return await self._read(client)
            finally:
                pinging.cancel()

    async def _ping(self, client: RawClient) -> None:
        while True:
            await asyncio.sleep(self._ping_every * self._dice.uniform(0.7, 1))
            if self.at is not None:
                client.write(raw_client.frame(raw_client.TEXT, b"ping"))

    async def _read(self, client: RawClient) -> int:
        while True:
            opcode, payload = await client.receive(3 * self._ping_every)
            if opcode == raw_client.CLOSE:
                client.write(raw_client.frame(raw_client.CLOSE, payload))
                return struct.unpack("!H", payload[:2])[0] if payload else 1005
            if payload != b"pong":
                self._take(payload)

    # --- what it is told

    def _take(self, payload: bytes) -> None:
        message = _parsed(payload)
        match message["type"]:
            case "connected":
                self._welcomed(message)
            case "reconnect":
                self._retry_after = message["retry_after_ms"] / 1000
            case "resync":
                self.complaints.append(f"resync to {message['cursor']}")
                self._stand_at(message["cursor"])
            case "error":
                self.complaints.append(f"error {message['code']}")
            case _:
                self._keep(message)

    def _welcomed(self, message: Message) -> None:
        expected = True if self.positions else None
        if message["recovered"] is not expected:
            self.complaints.append(f"recovered {message['recovered']} at {message['cursor']}")
        for position in message["cursor"].split(","):
            self._stand_at(position)
        self.welcomes.append(message["recovered"])
        self._failures = 0
        self.at = self._next

    def _keep(self, message: Message) -> None:
        self.received.append(Received(message, time.monotonic()))
        if "id" in message:
            self._stand_at(message["id"])
        else:
            self.progress[message["video_id"]] = message["progress"]

    def _stand_at(self, position: str) -> None:
        self.positions[position.rpartition(".")[0]] = position
