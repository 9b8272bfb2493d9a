"""uvicorn's HTTP protocol with bounds: who says nothing, half a request, or a head without end is not waited for.

The parser has no limit of its own, and gathers a header that comes in pieces by copying all it has: one connection
with an endless header kept a node's loop so busy that it lost its lease.

uvicorn's minor version is pinned; ``tests/shared/test_http_protocol.py`` fails when the names used here move.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

REQUEST_TIMEOUT: Final = 30.0  # s from the connection, or a request's first byte, to its last
HEAD_MAX_BYTES: Final = 64 * 1024  # a token has 3 KiB, all cookies of a site rarely more than 16
_LINGER: Final = 1.0  # s for a refused client to read why
_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class DeadlineProtocol(HttpToolsProtocol):
    """Given to uvicorn as its ``http`` option. A request that arrives in one piece costs no timer."""

    request_timeout = REQUEST_TIMEOUT
    _incomplete = False
    _refused = False
    _fruitless = 0  # bytes since the parser last had a whole head, a piece of body or the end of a request
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.request_timeout, transport.abort)

    def data_received(self, data: bytes) -> None:
        self._fruitless += len(data)
        super().data_received(data)
        if self._fruitless > HEAD_MAX_BYTES:
            self._refuse()
        elif self._incomplete and self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.request_timeout, self.transport.abort)

    def on_message_begin(self) -> None:
        self._incomplete = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._fruitless = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._fruitless = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._incomplete, self._fruitless = False, 0
        self._stop_waiting()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _refuse(self) -> None:
        """End a head, a trailer or a chunk's extension that does not end by itself."""
        if self._refused:
            return
        self._refused = True
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_TOO_LARGE)
        # Closed at once, with bytes of the client's unread, the kernel would reset it and the answer be lost.
        self.transport.pause_reading()
        self.loop.call_later(_LINGER, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
