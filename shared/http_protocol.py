"""uvicorn's HTTP protocol with bounds: who says nothing, half a request, or a head without end is not waited for.

The parser has no limit of its own, and gathers a header that comes in pieces by copying all it has: one connection
with an endless header kept a node's loop so busy that it lost its lease.

And with requests whole that offer to go on in another protocol, as Java's ``HttpClient`` does with each (``Upgrade:
h2c``): a server may ignore the offer (RFC 9110, section 7.8), but the parser stops after their head, and uvicorn took
the body for the next request.

And with headers that are the head's alone: uvicorn adds those of a trailer, which no proxy has judged as headers, if
they come before the application looks (RFC 9110, section 6.5.1: they must not be merged).

uvicorn's minor version is pinned; ``tests/shared/test_http_protocol.py`` fails when the names used here move.
"""

from __future__ import annotations

import asyncio
from typing import Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared.headers import said

REQUEST_TIMEOUT: Final = 30.0  # s from the connection, or a request's first byte, to its last
HEAD_MAX_BYTES: Final = 64 * 1024  # a token has 3 KiB, all cookies of a site rarely more than 16
_LINGER: Final = 1.0  # s for a refused client to read why
_INVALID: Final = "Invalid HTTP request received."
_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class DeadlineProtocol(HttpToolsProtocol):
    """Given to uvicorn as its ``http`` option. A request that arrives in one piece costs no timer."""

    request_timeout = REQUEST_TIMEOUT
    _incomplete = False
    _refused = False
    _offers_upgrade = False  # to what we do not speak
    _followed = False  # whether bytes came behind the head of an upgrade that we take; the parser gives them up
    _fruitless = 0  # bytes since the parser last had a whole head, a piece of body or the end of a request
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.request_timeout, transport.abort)

    def data_received(self, data: bytes) -> None:
        self._fruitless += len(data)
        self._unset_keepalive_if_required()
        rest: bytes | None = data
        while rest is not None:
            rest = self._parse(rest)
        if self._fruitless > HEAD_MAX_BYTES:
            self._refuse()
        elif self._incomplete and self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.request_timeout, self.transport.abort)

    def _parse(self, data: bytes) -> bytes | None:
        """Parse data up to an offer that we do not take; return what is to be parsed in its stead, and what follows."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._offers_upgrade:
                self._offers_upgrade = False
                head = self._head_without_offer()
                self.parser = httptools.HttpRequestParser(self)  # that one has done with the request, or the connection
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
                return head + data[upgrade.args[0] :]
            if self._should_upgrade():
                self._followed = upgrade.args[0] < len(data)
                self.handle_websocket_upgrade()
        except httptools.HttpParserError:
            self.logger.warning(_INVALID)
            self.send_400_response(_INVALID)
        return None

    def _head_without_offer(self) -> bytes:
        method, version = self.scope["method"].encode(), self.parser.get_http_version().encode()
        kept = [b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade"]
        return b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(kept))

    def on_message_begin(self) -> None:
        self._incomplete = True
        super().on_message_begin()

    def _get_upgrade(self) -> bytes | None:
        """Return what the parser takes for an offer: every line of a header counts, and not the last alone."""
        offers = said(self.headers, b"upgrade") if self.parser.should_upgrade() else []
        return b", ".join(offers).strip().lower() if offers else None

    def on_headers_complete(self) -> None:
        self._fruitless = 0
        if self._get_upgrade() is not None and not self._should_upgrade():
            self.scope["method"] = self.parser.get_method().decode("ascii")
            self._offers_upgrade = True
        else:
            super().on_headers_complete()
            if not self.parser.should_upgrade():
                self.headers = []  # those of a trailer come in here, and not into the request's

    def on_body(self, body: bytes) -> None:
        self._fruitless = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._offers_upgrade:
            return  # it is still to come
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
