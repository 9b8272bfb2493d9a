"""A client that may break the protocol: bytes out, bytes in."""

from __future__ import annotations

import asyncio
import base64
import os
import struct
from contextlib import suppress
from typing import Self

from tests.support.ports import LOOPBACK

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    """Build a frame as a client would send it, or as none should."""
    size, flag = len(payload), 0x80 if masked else 0
    head = bytes((opcode | (0x80 if fin else 0) | reserved,))
    if size < 126:
        head += bytes((flag | size,))
    elif size < 65536:
        head += struct.pack("!BH", flag | 126, size)
    else:
        head += struct.pack("!BQ", flag | 127, size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


class RawClient:
    """A socket on which an upgrade has succeeded; an async context manager."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int, target: str, *, timeout: float = 15) -> Self:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        try:
            await cls._upgrade(reader, writer, port, target, timeout)
        except BaseException:
            writer.transport.abort()
            raise
        return cls(reader, writer)

    @staticmethod
    async def _upgrade(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, target: str, timeout: float
    ) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET {target} HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), timeout)
        assert head.startswith(b"HTTP/1.1 101 "), head

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.writer.transport.abort()
        with suppress(OSError):
            await self.writer.wait_closed()

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def send(self, data: bytes) -> None:
        self.write(data)
        await self.writer.drain()

    async def receive(self, timeout: float = 15) -> tuple[int, bytes]:
        """Return the next frame: opcode and payload."""
        async with asyncio.timeout(timeout):
            head, size = await self.reader.readexactly(2)
            assert head & 0x80, "a node sends whole messages"
            assert not size & 0x80, "a server's frames are not masked"
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return head & 0x0F, await self.reader.readexactly(size)

    async def receive_text(self) -> str:
        opcode, payload = await self.receive()
        assert opcode == TEXT, (opcode, payload)
        return payload.decode()

    async def receive_close(self, timeout: float = 15) -> tuple[int, str]:
        """Skip to the close frame and return its code and reason."""
        while True:
            opcode, payload = await self.receive(timeout)
            if opcode == CLOSE:
                return struct.unpack("!H", payload[:2])[0], payload[2:].decode()

    async def end_of_stream(self, timeout: float = 15) -> None:
        """Wait until the node has given the socket up."""
        with suppress(ConnectionError):
            await asyncio.wait_for(self.reader.read(-1), timeout)
