"""Tokens made by hand, so that they may be as wrong as an attacker makes them."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

SECRET = "0123456789abcdef0123456789abcdef"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(**more: Any) -> dict[str, Any]:
    """Return the claims of a good token; ``None`` leaves one out."""
    fields = {"sub": "7", "exp": int(time.time()) + 600, **more}
    return {name: value for name, value in fields.items() if value is not None}


def hmac_token(
    body: dict[str, Any] | str,
    *,
    key: bytes = SECRET.encode(),
    alg: str = "HS256",
    hashed: str = "sha256",
    **header: Any,
) -> str:
    """Return a token signed with HMAC, whatever its header says. A body that is text is signed as it is."""
    head = b64(json.dumps({"alg": alg, "typ": "JWT", **header}).encode())
    signed = f"{head}.{b64((body if isinstance(body, str) else json.dumps(body)).encode())}"
    return f"{signed}.{b64(hmac.new(key, signed.encode(), hashed).digest())}"


def unsigned_token(body: dict[str, Any], alg: str = "none") -> str:
    return f"{b64(json.dumps({'alg': alg}).encode())}.{b64(json.dumps(body).encode())}."
