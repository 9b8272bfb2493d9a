"""Who makes an HTTP call to the node."""

from __future__ import annotations

from fastapi import HTTPException, Request

from shared.auth import Principal, TokenVerifier, bearer_token
from shared.errors import InvalidToken, KeysUnavailable


async def principal_of(request: Request, verifier: TokenVerifier) -> Principal:
    """Return whom a call's token speaks for; without a good one the call is answered 401, or 503 for lack of keys."""
    try:
        return await verifier.verify(bearer_token(request.headers.get("authorization")))
    except InvalidToken as exc:
        raise HTTPException(401, str(exc), {"WWW-Authenticate": "Bearer"}) from exc
    except KeysUnavailable as exc:
        raise HTTPException(503, str(exc), {"Retry-After": "2"}) from exc
