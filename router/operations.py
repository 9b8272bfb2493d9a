"""What makes a publish repeatable: its idempotency key, and what the first call under the key fixed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, NamedTuple

from shared.errors import InvalidMessage, RealtimeError
from shared.keys import Keys
from shared.link import Link

KEY_MAX_LENGTH: Final = 255
EXPLICIT_KEY_TTL_MS: Final = 24 * 3600 * 1000
MADE_KEY_TTL_MS: Final = 900_000  # a key made by the router serves to complete a call that was answered 503


class KeyReused(RealtimeError):
    """The idempotency key was used before, with another body."""

    def __str__(self) -> str:
        return "this idempotency key was used with another body"


class Origin(NamedTuple):
    """What the first call fixed for its repetitions: its trace, and the time of its messages."""

    traceparent: str
    now_us: int

    @property
    def trace_id(self) -> str:
        return self.traceparent[3:35]


@dataclass(frozen=True, slots=True)
class Operation:
    """Whose key, and for which body.

    Attributes:
        explicit: the caller gave the key; otherwise the router has just made it, and it cannot have been used before.
    """

    caller: str
    key: str
    digest: str
    explicit: bool

    @property
    def name(self) -> str:
        """The key under which Redis remembers what the operation has done."""
        return blake2b(f"{self.caller}\0{self.key}".encode(), digest_size=16).hexdigest()

    @property
    def ttl_ms(self) -> int:
        return EXPLICIT_KEY_TTL_MS if self.explicit else MADE_KEY_TTL_MS


def digest_of(path: str, body: bytes) -> str:
    return blake2b(body, digest_size=12, key=path.encode()[:64]).hexdigest()


def made_key() -> str:
    return f"op-{random.getrandbits(96):024x}"  # belongs to its caller alone


def key_in_header(key: str) -> str:
    """Return the key; raises ``InvalidMessage`` for one that is empty, too long or not printable ASCII."""
    return _checked(key, "Idempotency-Key", "header")


def key_in_body(key: str) -> str:
    """As ``key_in_header``."""
    return _checked(key, "idempotency_key", "body")


def _checked(key: str, field: str, part: str) -> str:
    if not 0 < len(key) <= KEY_MAX_LENGTH or not key.isascii() or not key.isprintable():
        raise InvalidMessage(field, f"1 to {KEY_MAX_LENGTH} printable ASCII characters", part)
    return key


async def claim(link: Link, keys: Keys, operation: Operation, fresh: Origin) -> Origin:
    """Return the origin of the operation's first call; ``fresh`` if this is it.

    Raises:
        KeyReused: the key came before, with another body.
    """
    value = f"{operation.digest} {fresh.traceparent} {fresh.now_us}"
    known: bytes | None = await link.send(
        "SET", keys.claim(operation.name), value, "NX", "GET", "PX", EXPLICIT_KEY_TTL_MS
    )
    if known is None:
        return fresh
    first_digest, trace, now_us = known.decode().split(" ")[:3]  # a later version may say more
    if first_digest != operation.digest:
        raise KeyReused
    return Origin(trace, int(now_us))
