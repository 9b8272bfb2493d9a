"""A client that does not read until it is told to: what it has not taken stays with the kernel and the node."""

from __future__ import annotations

import asyncio
import re
import socket
from pathlib import Path

from tests.support.cluster import Cluster, Node, socket_path
from tests.support.event_stream import events_path
from tests.support.ports import LOOPBACK

_LAST_OF_FIRST_FRAME = b"heartbeat_interval_ms"
_SEEN = re.compile(rb'"id":"(all\.\d+-(\d+))"}|"type":"resync","cursor":"(all\.\d+-(\d+))"')
_AT_ONCE = 262_144  # bytes per read


class SlowClient:
    """A user whose broadcasts are kept by their numbers.

    Attributes:
        numbers: n of every broadcast that it was shown, after n of where it stood at first.
        gaps: what it was told of broadcasts lost for good, by the number of the last one it has: where it goes on.
        recovered: whether everything missed was to follow, as the last connection said.
    """

    def __init__(self, cluster: Cluster, user: str, *, node: Node | None = None) -> None:
        self.node = node or cluster.node
        self._token = cluster.tokens.user(user)
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self._own = self._everyone = ""
        self.numbers: list[int] = []
        self.gaps: dict[int, int] = {}
        self.recovered: bool | None = None

    async def connect(self) -> None:
        """Connect, with ``since`` if it was connected before, and read the first frame."""
        self._sock = socket.socket()
        self._sock.setblocking(False)
        await self._loop.sock_connect(self._sock, (LOOPBACK, self.node.port))
        since = f"{self._own},{self._everyone}" if self._own else None
        await self._loop.sock_sendall(self._sock, self._request(self._token, since).encode())
        first = b""
        while _LAST_OF_FIRST_FRAME not in first:
            more = await self._loop.sock_recv(self._sock, 1024)
            assert more, f"closed before the first frame: {first!r}"
            first += more
        head, _, rest = first.partition(_LAST_OF_FIRST_FRAME)
        self._welcomed(head)
        self._rest = b""
        self._take(rest)

    def _request(self, token: str, since: str | None) -> str:
        query = {"token": token} | ({"since": since} if since is not None else {})
        return (
            f"GET {socket_path(**query)} HTTP/1.1\r\nHost: {LOOPBACK}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )

    def _welcomed(self, head: bytes) -> None:
        fields = re.search(rb'"recovered":(\w+),"cursor":"([^,"]+),([^"]+)"', head)
        assert fields is not None, head
        recovered, own, everyone = (field.decode() for field in fields.groups())
        self.recovered = {"true": True, "false": False, "null": None}[recovered]
        if self.recovered is not True:
            self._own, self._everyone = own, everyone
            number = int(everyone.rpartition("-")[2])
            if self.recovered is False:
                self.gaps[self.numbers[-1]] = number
            self.numbers.append(number)

    async def read_up_to(self, number: int) -> bool:
        """Read until the broadcast with this number; False if it was cut off before."""
        while self.numbers[-1] < number:
            if not await self.read_some():
                return False
        return True

    async def read_some(self) -> bool:
        """Read what there is, waiting for something; False if the node has cut it off."""
        try:
            data = await self._loop.sock_recv(self._sock, _AT_ONCE)
        except ConnectionError:
            return False
        self._take(data)
        return bool(data)

    def _take(self, data: bytes) -> None:
        data, end = self._rest + data, 0
        for match in _SEEN.finditer(data):
            end = match.end()
            event, number, cursor, goes_on = match.groups()
            if cursor is not None:
                self.gaps[self.numbers[-1]] = int(goes_on)
            self.numbers.append(int(number or goes_on))
            self._everyone = (event or cursor).decode()
        self._rest = data[end:][-200:]

    def send(self, data: bytes) -> int:
        """Send what the kernel takes of it; return how much that was."""
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        self._sock.close()

    @property
    def has_all_it_was_not_told_of(self) -> bool:
        """Whether it has every broadcast since its first connection, in order and once, but for what it was told of."""
        steps = zip(self.numbers, self.numbers[1:], strict=False)
        return all(after == self.gaps.get(before, before + 1) for before, after in steps)


class SlowStream(SlowClient):
    """The same, by Server-Sent Events."""

    def _request(self, token: str, since: str | None) -> str:
        more = f"Last-Event-ID: {since}\r\n" if since is not None else ""
        return (
            f"GET {events_path()} HTTP/1.1\r\nHost: {LOOPBACK}\r\nAuthorization: Bearer {token}\r\n"
            f"Accept: text/event-stream\r\n{more}\r\n"
        )


def pss_kib(pid: int) -> int:
    """Return the memory that a process has for itself, and its part of what it shares."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    assert found is not None, rollup
    return int(found[1])
