"""A token issuer: keys of its own, and a small HTTP server that publishes the public ones as JWKS."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jose import jwk, jwt

_ENCODING, _PRIVATE, _PUBLIC = (
    serialization.Encoding,
    serialization.PrivateFormat.PKCS8,
    serialization.PublicFormat.SubjectPublicKeyInfo,
)


class SigningKey:
    def __init__(self, kid: str, algorithm: str = "RS256") -> None:
        self.kid, self.algorithm = kid, algorithm
        key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
        if algorithm.startswith("RS"):
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        else:
            key = ec.generate_private_key(ec.SECP256R1())
        self.private_pem = key.private_bytes(_ENCODING.PEM, _PRIVATE, serialization.NoEncryption()).decode()
        self.public_pem = key.public_key().public_bytes(_ENCODING.PEM, _PUBLIC).decode()
        self.public_der = key.public_key().public_bytes(_ENCODING.DER, _PUBLIC)

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        token: str = jwt.encode(claims, self.private_pem, self.algorithm, headers={"kid": self.kid, **header})
        return token

    def as_jwk(self, **more: Any) -> dict[str, Any]:
        return {**jwk.construct(self.public_pem, self.algorithm).to_dict(), "kid": self.kid, "use": "sig", **more}


class Issuer:
    """Serves a JWKS on a loopback port.

    Attributes:
        published: the answer's body; by default a JWKS of nothing.
        fetched: how often it was asked.
        answers: while it is not set, the issuer hangs.
        left: how many hung up before they had an answer.
    """

    def __init__(self) -> None:
        self.published: Any = {"keys": []}
        self.status = "200 OK"
        self.fetched = self.left = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.url = ""

    def publish(self, *keys: dict[str, Any]) -> None:
        self.published = {"keys": list(keys)}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Issuer]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.fetched += 1
        if not await self._is_to_answer(reader):
            self.left += 1
            writer.close()
            return
        body = self.published if isinstance(self.published, bytes) else json.dumps(self.published).encode()
        head = f"HTTP/1.1 {self.status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def _is_to_answer(self, reader: asyncio.StreamReader) -> bool:
        """Wait until it does not hang any more; False if the caller hung up before."""
        if self.answers.is_set():
            return True
        gone, freed = asyncio.create_task(reader.read()), asyncio.create_task(self.answers.wait())
        await asyncio.wait({gone, freed}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        freed.cancel()
        return self.answers.is_set()
