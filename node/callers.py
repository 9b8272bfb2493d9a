"""Who makes an HTTP call to the node, and whether it may: the rules are those of the sockets.

no token, invalid, expired .................. 401
not an admin, user unknown or blocked ....... 403
keys, user check or Redis away .............. 503, and when to come back
"""

from __future__ import annotations

from typing import Final

from fastapi import HTTPException, Request

from node.user_check import UserCheck, Verdict
from shared.auth import Principal, TokenVerifier, bearer_token
from shared.errors import InvalidToken, KeysUnavailable, RedisError
from shared.headers import header
from shared.keys import Keys, bucket
from shared.link import Link

RETRY_AFTER: Final = {"Retry-After": "2"}


def token_of(request: Request) -> str:
    """Return the token in a call's ``Authorization``, or ``""``; a call with several is answered 401."""
    try:
        return bearer_token(header(request.scope["headers"], b"authorization"))
    except InvalidToken as exc:
        raise _unauthenticated(exc) from exc


async def principal_of(request: Request, verifier: TokenVerifier) -> Principal:
    """Return whom a call's token speaks for; without a good one the call is answered 401, or 503 for lack of keys."""
    try:
        return await verifier.verify(token_of(request))
    except InvalidToken as exc:
        raise _unauthenticated(exc) from exc
    except KeysUnavailable as exc:
        raise HTTPException(503, str(exc), RETRY_AFTER) from exc


class Callers:
    """Identifies callers and checks what they may do; answers those who may not."""

    def __init__(self, verifier: TokenVerifier, user_check: UserCheck, link: Link, keys: Keys) -> None:
        self._verifier, self._user_check, self._link, self._keys = verifier, user_check, link, keys

    async def identify(self, request: Request) -> Principal:
        """Return whom a call's token speaks for, without checking that user."""
        return await principal_of(request, self._verifier)

    async def anybody(self, request: Request) -> Principal:
        """Return who calls; raises ``HTTPException``."""
        return await self.checked(await self.identify(request))

    async def admin(self, request: Request) -> Principal:
        """Return which admin calls."""
        principal = await self.identify(request)
        must_be_admin(principal)
        return await self.checked(principal)

    async def checked(self, principal: Principal) -> Principal:
        """Return the principal if its user exists and is not blocked; raises ``HTTPException``."""
        verdict = await self._user_check(principal.user_id)
        if verdict is Verdict.UNCERTAIN:
            raise HTTPException(503, verdict.value, RETRY_AFTER)
        if verdict is not Verdict.WELCOME:
            raise HTTPException(403, verdict.value)
        user = principal.user_id
        tag = bucket(user)
        try:
            until = await self._link.send("ZSCORE", self._keys.blocked(tag), user)
        except RedisError as exc:
            raise HTTPException(503, str(exc), RETRY_AFTER) from exc
        if until is not None and float(until) > self._link.of(tag).server_ms():
            raise HTTPException(403, Verdict.BLOCKED.value)
        return principal


def _unauthenticated(exc: InvalidToken) -> HTTPException:
    return HTTPException(401, str(exc), {"WWW-Authenticate": "Bearer"})


def must_be_admin(principal: Principal) -> None:
    if not principal.is_admin:
        raise HTTPException(403, "not an admin")
