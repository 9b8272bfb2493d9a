"""Thousands of WebSockets and some publishers on one epoll loop: cheap enough to keep a server's core busy.

A delivery costs it about 3 µs while each brings a single message, and less the further it is behind, for then one
``recv`` brings several. It reads no JSON: frames are walked and counted. So it can say how many came to each client,
and not what they said; that is for the tests and for Locust.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

_CHUNK: Final = 262_144
_TEXT, _PING = 1, 9
_IN_FLIGHT: Final = 64  # handshakes at a time
_HEAD_END: Final = b"\r\n\r\n"


class Saturated(Exception):
    """What was to come did not come in time, or the server said no."""


class Dialect(Protocol):
    """How a server is spoken to."""

    def upgrade(self, number: int) -> bytes:
        """Return the request with which a client connects."""

    def hello(self, payload: bytes) -> bytes | None:
        """Return what to answer to a frame before the client is in; None if it is in now."""


def text_frame(text: bytes) -> bytes:
    """Return a client's frame. A mask of zeros is a mask, and leaves the text as it is."""
    size = len(text)
    head = bytes((0x81, 0x80 | size)) if size < 126 else bytes((0x81, 0xFE)) + size.to_bytes(2)
    return head + b"\0\0\0\0" + text


@dataclass(slots=True, eq=False)
class Client:
    socket: socket.socket
    upgraded: bool = False
    inside: bool = False
    rest: bytes = b""
    received: int = 0


@dataclass(slots=True, eq=False)
class Publisher:
    """A keep-alive connection that posts one request after another."""

    socket: socket.socket
    rest: bytes = b""
    left: deque[bytes] = field(default_factory=deque)


class Crowd:
    """A context manager; everything it opened is closed at its end. Clients are dealt out to the ports in turn.

    Attributes:
        clients: those that are in.
        received: messages that came to them, in all.
        last: when the last one came, by ``time.perf_counter``.
    """

    def __init__(self, ports: Sequence[int], dialect: Dialect) -> None:
        self._ports, self._dialect = ports, dialect
        self._poll = select.epoll()
        self._by_fd: dict[int, Client | Publisher] = {}
        self.clients: list[Client] = []
        self.received = 0
        self.last = 0.0
        self.answered = 0

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for each in self._by_fd.values():
            each.socket.close()
        self._poll.close()

    # --- connecting

    def connect(self, numbers: Iterable[int], *, dialect: Dialect | None = None, seconds: float = 120) -> None:
        """Connect clients and wait until all are in; ``dialect`` if these come by another way than the others."""
        upgrade = (dialect or self._dialect).upgrade
        waiting = iter(numbers)
        wanted, opened, end = len(self.clients), 0, time.perf_counter() + seconds
        more = True
        while more or len(self.clients) < wanted + opened:
            while more and wanted + opened - len(self.clients) < _IN_FLIGHT:
                number = next(waiting, None)
                if number is None:
                    more = False
                    break
                self._open(number, upgrade(number))
                opened += 1
            self._turn(end)

    def _open(self, number: int, request: bytes) -> None:
        client = Client(_dial(self._ports[number % len(self._ports)]))
        client.socket.send(request)
        self._watch(client)

    def _watch(self, each: Client | Publisher) -> None:
        self._by_fd[each.socket.fileno()] = each
        self._poll.register(each.socket.fileno(), select.EPOLLIN)

    def leave(self, count: int) -> None:
        """Close the last so many clients."""
        for client in self.clients[-count:]:
            self._poll.unregister(client.socket.fileno())
            del self._by_fd[client.socket.fileno()]
            client.socket.close()
        del self.clients[-count:]

    # --- working

    def reset(self) -> None:
        self.received = self.answered = 0
        for client in self.clients:
            client.received = 0

    def say(self, text: bytes) -> None:
        """Have every client say something, once."""
        frame = text_frame(text)
        for client in self.clients:
            client.socket.send(frame)

    def publish(
        self, requests: Iterable[bytes], *, port: int, connections: int, expected: int, seconds: float = 60
    ) -> None:
        """Post all requests, each connection the next one when it was answered, until so many messages have come."""
        shares: list[deque[bytes]] = [deque() for _ in range(connections)]
        total = 0
        for index, request in enumerate(requests):
            shares[index % connections].append(request)
            total += 1
        publishers = [Publisher(_dial(port), left=share) for share in shares if share]
        for publisher in publishers:
            self._watch(publisher)
            publisher.socket.send(publisher.left.popleft())
        try:
            self.until(lambda: self.answered >= total and self.received >= expected, seconds)
        finally:
            for publisher in publishers:
                self._poll.unregister(publisher.socket.fileno())
                del self._by_fd[publisher.socket.fileno()]
                publisher.socket.close()

    def until(self, condition: Callable[[], bool], seconds: float) -> None:
        end = time.perf_counter() + seconds
        while not condition():
            self._turn(end)

    def rest(self, seconds: float) -> None:
        """Let time pass, and read what comes."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self._once(left)

    def _turn(self, end: float) -> None:
        if time.perf_counter() > end:
            raise Saturated(f"{len(self.clients)} clients, {self.received} messages, {self.answered} answers in time")
        self._once(1)

    def _once(self, seconds: float) -> None:
        for fd, _ in self._poll.poll(seconds, 1024):
            each = self._by_fd.get(fd)
            if isinstance(each, Client):
                self._read(each)
            elif each is not None:
                self._read_answer(each)

    def _read(self, client: Client) -> None:
        try:
            data = client.socket.recv(_CHUNK)
        except BlockingIOError:
            return
        if not data:
            raise Saturated("the server closed a connection")
        if client.rest:
            data = client.rest + data
        if client.inside:
            self._count(client, data)
        else:
            self._get_in(client, data)

    def _count(self, client: Client, data: bytes) -> None:
        """Walk over the frames; the innermost loop of it all, hence written out."""
        at, size, count = 0, len(data), 0
        while size - at >= 2:
            length = data[at + 1]
            start = at + 2
            if length == 126:
                if size - at < 4:
                    break
                length = data[at + 2] << 8 | data[at + 3]
                start = at + 4
            if start + length > size:
                break
            if data[at] == 0x81 and length > 1:
                count += 1
            elif data[at] == 0x81:
                client.socket.send(text_frame(b"3"))  # Engine.IO's ping
            elif data[at] & 15 == _PING:
                client.socket.send(b"\x8a\x80\0\0\0\0")
            at = start + length
        client.rest = data[at:]
        if count:
            client.received += count
            self.received += count
            self.last = time.perf_counter()

    def _get_in(self, client: Client, data: bytes) -> None:
        if not client.upgraded:
            head, separator, rest = data.partition(_HEAD_END)
            if not separator:
                client.rest = data
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise Saturated(f"the upgrade was refused: {head[:60]!r}")
            client.upgraded, data = True, rest
            self._answer(client, b"")
        at = 0
        for payload, end in _frames(data):
            at = end
            if not client.inside:
                self._answer(client, payload)
        client.rest = data[at:]

    def _answer(self, client: Client, payload: bytes) -> None:
        answer = self._dialect.hello(payload)
        if answer is None:
            client.inside = True
            self.clients.append(client)
        elif answer:
            client.socket.send(text_frame(answer))

    def _read_answer(self, publisher: Publisher) -> None:
        with contextlib.suppress(BlockingIOError):
            publisher.rest += publisher.socket.recv(_CHUNK)
        head, separator, body = publisher.rest.partition(_HEAD_END)
        if not separator or len(body) < _content_length(head):
            return
        if not head.startswith(b"HTTP/1.1 2"):
            raise Saturated(f"the server answered {publisher.rest[:300]!r}")
        self.answered += 1
        publisher.rest = b""
        if publisher.left:
            publisher.socket.send(publisher.left.popleft())


def _dial(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setblocking(False)
    return connection


def _frames(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield payloads of whole text frames, and where each ends."""
    at = 0
    while len(data) - at >= 2:
        length, start = data[at + 1], at + 2
        if length == 126:
            length, start = int.from_bytes(data[at + 2 : at + 4]), at + 4
        if len(data) < start + length or (length == 126 and len(data) - at < 4):
            return
        at = start + length
        yield data[start:at], at


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
