"""Who calls the router, and what they may do."""

from __future__ import annotations

import hmac
from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Final, Literal

from shared.auth import TokenVerifier, bearer_token
from shared.errors import InvalidToken, KeysUnavailable, RealtimeError

Scope = Literal["publish", "read", "admin"]
ALL_SCOPES: Final[frozenset[str]] = frozenset({"publish", "read", "admin"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes:
        name: what idempotency keys belong to: a digest of the service key, or the token's ``sub``.
        shown: who it is, to people: the beginning of the service key's SHA-256, or the token's ``sub``.
    """

    name: str
    scopes: frozenset[str]
    shown: str


class NotAllowed(RealtimeError):
    """The caller may not do this.

    Attributes:
        status: 401 if it is unknown who calls, 403 if the scope is missing.
    """

    def __init__(self, status: int, detail: str) -> None:
        self.status, self.detail = status, detail
        super().__init__(status, detail)

    def __str__(self) -> str:
        return self.detail


class Callers:
    """Identifies callers by service key or token, and checks their scopes.

    Attributes:
        failures: calls that were refused, by reason; those whose token was judged are counted by the verifier.
    """

    def __init__(self, api_keys: list[str], verifier: TokenVerifier | None) -> None:
        self.failures: Counter[str] = Counter()
        self._keys = [
            (key.encode(), Caller(f"key:{_digest(key)}", ALL_SCOPES, f"key:{fingerprint(key)}")) for key in api_keys
        ]
        self._verifier = verifier

    async def allow(self, authorization: str | None, scope: Scope) -> Caller:
        """Return the caller behind an ``Authorization`` header.

        Raises:
            NotAllowed: without or with a wrong credential (401), or without the scope (403).
            KeysUnavailable: the token's issuer cannot be asked for its keys.
        """
        caller = await self._identify(authorization)
        if scope not in caller.scopes:
            self.failures["scope missing"] += 1
            raise NotAllowed(403, f"the scope {scope!r} is missing")
        return caller

    async def identify_or_none(self, authorization: str | None) -> Caller | None:
        """Return the caller behind an ``Authorization`` header, whatever it may do; None if that cannot be told."""
        try:
            return await self._identify(authorization)
        except (NotAllowed, KeysUnavailable):
            return None

    async def _identify(self, authorization: str | None) -> Caller:
        try:
            credential = bearer_token(authorization)
        except InvalidToken as exc:
            self.failures["credential ambiguous"] += 1
            raise NotAllowed(401, f"Authorization: {exc}") from exc
        if not credential:
            self.failures["credential missing"] += 1
            raise NotAllowed(401, "Authorization: Bearer <service key or JWT> is missing")
        given = credential.encode()
        for key, caller in self._keys:
            if hmac.compare_digest(key, given):
                return caller
        if self._verifier is None:
            self.failures["service key wrong"] += 1
            raise NotAllowed(401, "the service key is wrong")
        try:
            principal = await self._verifier.verify(credential)
        except InvalidToken as exc:
            raise NotAllowed(401, f"neither a service key nor a valid token: {exc}") from exc
        name = f"sub:{principal.user_id}"
        return Caller(name, principal.scopes, name)


def fingerprint(key: str) -> str:
    """Return the fingerprint by which people tell keys apart: ``printf %s "$KEY" | sha256sum | cut -c1-8``."""
    return sha256(key.encode()).hexdigest()[:8]


def _digest(key: str) -> str:
    return blake2b(key.encode(), digest_size=8).hexdigest()
