"""A WebSocket client on a blocking socket, which gevent makes a greenlet's own: bytes by us, protocol by `websockets`.

Of what there is for gevent it holds the most: see `loadtests/bench/clients.py`, which measures it beside others.
"""

from __future__ import annotations

import socket
import ssl
from functools import lru_cache
from typing import Self
from urllib.parse import urlencode

from websockets.client import ClientProtocol
from websockets.exceptions import WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

_CHUNK = 65536
_NO_REASON = 1006


class Closed(Exception):
    """The connection is over.

    Attributes:
        code: the close frame's; 1006 if there was none.
    """

    def __init__(self, code: int, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(code, reason)

    def __str__(self) -> str:
        return f"closed with {self.code}: {self.reason or 'no reason given'}"


class Refused(Exception):
    """The upgrade was answered with something else than 101."""


@lru_cache(maxsize=2)
def _tls(verify: bool) -> ssl.SSLContext:
    return ssl.create_default_context() if verify else ssl._create_unverified_context()


class Socket:
    """An open WebSocket."""

    __slots__ = ("_closed", "_protocol", "_socket")

    def __init__(self, connection: socket.socket, protocol: ClientProtocol) -> None:
        self._socket, self._protocol = connection, protocol
        self._closed: Closed | None = None  # told once the texts before it have been taken

    @classmethod
    def open(cls, url: str, *, token: str, since: str = "", timeout: float = 10, verify: bool = True) -> Self:
        """Connect and upgrade, without waiting for the first frame.

        Args:
            token: goes as a subprotocol, so that no proxy's log shows it.
            timeout: s for each step.

        Raises:
            OSError, TimeoutError: nobody there, or no answer.
            Refused: another answer than 101.
        """
        uri = parse_uri(f"{url}?{urlencode({'since': since})}" if since else url)
        protocol = ClientProtocol(uri, subprotocols=[Subprotocol("bearer"), Subprotocol(token)], max_size=None)
        connection = socket.create_connection((uri.host, uri.port), timeout)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if uri.secure:
                connection = _tls(verify).wrap_socket(connection, server_hostname=uri.host)
            client = cls(connection, protocol)
            client._upgrade()
        except BaseException:
            connection.close()
            raise
        return client

    def _upgrade(self) -> None:
        self._protocol.send_request(self._protocol.connect())
        self._flush()
        while self._protocol.state is State.CONNECTING:
            self._read()
            if (exc := self._protocol.handshake_exc) is not None:
                raise Refused(str(exc.__cause__ or exc)) from exc

    def receive(self, timeout: float) -> list[str]:
        """Return the texts that have come, at least one, or none if a whole frame is not there yet.

        Raises:
            TimeoutError: nothing came within ``timeout`` seconds.
            Closed: the connection is over.
            OSError: it broke.
        """
        if texts := self._texts():  # they came with the answer to the upgrade, or with the frame before
            return texts
        self._socket.settimeout(timeout)
        self._read()
        return self._texts()

    def _read(self) -> None:
        data = self._socket.recv(_CHUNK)
        try:
            if data:
                self._protocol.receive_data(data)
            else:
                self._protocol.receive_eof()
        except WebSocketException as exc:
            raise Closed(_NO_REASON, str(exc)) from exc
        self._flush()  # pongs, and the answer to a close

    def _texts(self) -> list[str]:
        texts = []
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                if event.opcode is Opcode.TEXT:
                    texts.append(bytes(event.data).decode())
                elif event.opcode is Opcode.CLOSE:
                    close = self._protocol.close_rcvd
                    self._closed = Closed(close.code, close.reason) if close else Closed(1005, "")
        if self._closed is None and self._protocol.state is State.CLOSED:
            self._closed = Closed(_NO_REASON, "the connection was cut")
        if self._closed is not None and not texts:
            raise self._closed
        return texts

    def send(self, text: str) -> None:
        """Send a text.

        Raises:
            Closed: the connection is over: its end came together with the last texts.
            OSError: it broke.
        """
        if self._closed is not None:
            raise self._closed
        self._protocol.send_text(text.encode())
        self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._socket.sendall(data)

    def cut(self) -> None:
        """End the connection without a word, as a lost network does."""
        self._socket.close()

    def close(self) -> None:
        """Say goodbye and end the connection, without waiting for the answer."""
        try:
            if self._protocol.state is State.OPEN:
                self._protocol.send_close(1000)
                self._flush()
        except OSError:
            pass
        self.cut()
