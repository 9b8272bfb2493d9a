"""A browser's side of a WebSocket, as the tests see it."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from tests.support.waiting import Patience

Message = dict[str, Any]

SOON = 8.0  # s; shorter than the ten after which a node finds by itself what did not reach it


def dial(url: str, **more: Any) -> connect:
    """Return a connection to be awaited or entered, without what the library would do by itself."""
    return connect(
        url,
        compression=None,
        ping_interval=None,
        max_size=None,
        max_queue=None,
        proxy=None,
        open_timeout=30,
        close_timeout=5,
        **more,
    )


class Client:
    """Keeps every frame it was sent; ``receive`` takes them out in order, by type.

    Attributes:
        texts: every text frame as it came, first to last.
        unread: messages that nobody has taken yet; the text ``pong`` counts as ``{"type": "pong"}``.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.texts: list[str] = []
        self.unread: list[Message] = []
        self.connected: Message = {}
        self._changed = asyncio.Event()
        self._over = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        origin: str | None = None,
        subprotocols: list[str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Self:
        """Connect, without waiting for the first frame."""
        connection = await dial(
            url,
            origin=Origin(origin) if origin is not None else None,
            subprotocols=[Subprotocol(name) for name in subprotocols] if subprotocols else None,
            additional_headers=headers,
        )
        return cls(connection)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.connection.close()
        await self._reader

    async def _read(self) -> None:
        try:
            async for text in self.connection:
                assert isinstance(text, str), "a node sends text"
                self.texts.append(text)
                self.unread.append({"type": "pong"} if text == "pong" else json.loads(text))
                self._changed.set()
        except ConnectionClosed:
            pass
        finally:
            self._over.set()
            self._changed.set()

    # --- what it says

    async def send(self, text: str | bytes) -> None:
        await self.connection.send(text)

    async def send_json(self, **fields: Any) -> None:
        await self.send(json.dumps(fields))

    async def refresh(self, token: str) -> Message:
        """Hand in a fresh token and return the answer."""
        await self.send_json(type="refresh", token=token)
        return await self._receive_any(("refreshed", "error"), SOON)

    async def stats(self) -> Message:
        await self.send("get_stats")
        return await self.receive("stats")

    # --- what it hears

    async def receive(self, kind: str, *, timeout: float = SOON) -> Message:
        """Take the oldest unread message of a type, waiting for it if need be."""
        return await self._receive_any((kind,), timeout)

    async def receive_many(self, kind: str, count: int, *, timeout: float = 15) -> list[Message]:
        return [await self.receive(kind, timeout=timeout) for _ in range(count)]

    async def _receive_any(self, kinds: tuple[str, ...], timeout: float) -> Message:
        patience = Patience(timeout)
        try:
            while True:
                for index, message in enumerate(self.unread):
                    if message.get("type") in kinds:
                        return self.unread.pop(index)
                assert not self._over.is_set(), f"closed with {self.close} before {kinds} came; {self._heard()}"
                self._changed.clear()
                await patience.wait(self._changed)
        except TimeoutError:
            raise AssertionError(f"no {' or '.join(kinds)} within {timeout} s; {self._heard()}") from None

    def _heard(self) -> str:
        return f"unread: {json.dumps(self.unread, ensure_ascii=False)[:1000]}"

    async def settled(self) -> None:
        """Return when everything that the node had written by now has arrived."""
        await self.send("ping")
        await self.receive("pong")

    async def nothing_else(self) -> None:
        """Assert that everything that has come was taken."""
        if not self._over.is_set():
            await self.settled()
        assert self.unread == []

    @property
    def since(self) -> str:
        """The last id of each stream, as a browser keeps them to come back with."""
        last: dict[str, str] = {}
        for text in self.texts:
            message = {} if text == "pong" else json.loads(text)
            for event_id in (message.get("cursor") or message.get("id") or "").split(","):
                last[event_id.rpartition(".")[0]] = event_id
        return ",".join(filter(None, last.values()))

    # --- how it ends

    @property
    def close(self) -> tuple[int | None, str | None]:
        return self.connection.close_code, self.connection.close_reason

    @property
    def is_open(self) -> bool:
        return not self._over.is_set()

    async def closed(self, *, timeout: float = 10) -> tuple[int, str]:
        """Wait for the end and return the code and the reason that the node gave."""
        try:
            await Patience(timeout).wait(self._over)
        except TimeoutError:
            raise AssertionError(f"still open after {timeout} s; {self._heard()}") from None
        code, reason = self.close
        return code or 1006, reason or ""


async def welcomed(url: str) -> Client:
    """Return a client that has had its first frame."""
    client = await Client.open(url)
    client.connected = await client.receive("connected")
    return client
