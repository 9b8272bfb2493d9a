"""Idempotency keys: what a call claims before it publishes, so that a repeated call can be told from a new one."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from hashlib import blake2b

from router.publisher import EXPLICIT_KEY_TTL_MS, KeyReused
from shared.errors import InvalidMessage
from shared.keys import Keys
from shared.redis_link import RedisLink

KEY_MAX_LENGTH = 255
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Origin:
    """What a first call fixed for all its repetitions: its trace, and the time its messages bear."""

    traceparent: str
    now_us: int

    @property
    def trace_id(self) -> str:
        return self.traceparent[3:35]


def traceparent(header: str | None) -> str:
    """Return the caller's W3C ``traceparent``, or a fresh one."""
    if header is not None and _TRACEPARENT.fullmatch(header):
        return header
    return f"00-{random.getrandbits(128) or 1:032x}-{random.getrandbits(64) or 1:016x}-00"  # names, no secrets


def digest_of(path: str, body: bytes) -> str:
    return blake2b(body, digest_size=12, key=path.encode()[:64]).hexdigest()


def made_key() -> str:
    return f"op-{random.getrandbits(96):024x}"  # belongs to its caller alone


def check_key(key: str) -> str:
    """Return the key; raises ``InvalidMessage`` for one that is empty, too long or not printable ASCII."""
    if not 0 < len(key) <= KEY_MAX_LENGTH or not key.isascii() or not key.isprintable():
        raise InvalidMessage("Idempotency-Key", f"1 to {KEY_MAX_LENGTH} printable ASCII characters")
    return key


async def claim(link: RedisLink, keys: Keys, caller: str, key: str, digest: str, fresh: Origin) -> Origin:
    """Return the origin of the first call with this key; ``fresh`` if this is it.

    Raises:
        KeyReused: the key came before, with another body.
    """
    name = keys.claim(blake2b(f"{caller}\0{key}".encode(), digest_size=16).hexdigest())
    value = f"{digest} {fresh.traceparent} {fresh.now_us}"
    known: bytes | None = await link.send("SET", name, value, "NX", "GET", "PX", EXPLICIT_KEY_TTL_MS)
    if known is None:
        return fresh
    first_digest, trace, now_us = known.decode().split(" ")
    if first_digest != digest:
        raise KeyReused
    return Origin(trace, int(now_us))
