"""uvicorn's HTTP protocol with a deadline: who connects and says nothing, or half a request, is not waited for.

uvicorn's minor version is pinned; ``tests/shared/test_http_protocol.py`` fails when the names used here move.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

REQUEST_TIMEOUT: Final = 30.0  # s from the connection, or a request's first byte, to its last


class DeadlineProtocol(HttpToolsProtocol):
    """Given to uvicorn as its ``http`` option. A request that arrives in one piece costs no timer."""

    request_timeout = REQUEST_TIMEOUT
    _incomplete = False
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.request_timeout, transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._incomplete and self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.request_timeout, self.transport.abort)

    def on_message_begin(self) -> None:
        self._incomplete = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._incomplete = False
        self._stop_waiting()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
