"""Tokens as the platform would issue them, and as an attacker would make them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jose import jwk, jwt


class Tokens:
    """Mints HS256 tokens with one secret."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def mint(self, *, key: Any = None, algorithm: str = "HS256", kid: str | None = None, **claims: Any) -> str:
        """Sign claims; ``exp`` is in ten minutes unless given, a claim that is ``None`` is left out."""
        filled = {"exp": in_seconds(600), **claims}
        kept = {name: value for name, value in filled.items() if value is not None}
        headers = {"kid": kid} if kid is not None else None
        return jwt.encode(kept, key or self.secret, algorithm=algorithm, headers=headers)

    def user(self, user_id: int | str, **claims: Any) -> str:
        return self.mint(sub=str(user_id), **claims)

    def admin(self, user_id: int | str = 1, **claims: Any) -> str:
        return self.mint(**{"sub": str(user_id), "is_admin": True, **claims})


class RsaKey:
    """A key pair of an issuer."""

    def __init__(self, kid: str = "k1") -> None:
        self.kid = kid
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.private_pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        public = key.public_key()
        self.public_pem = public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()

    def sign(self, **claims: Any) -> str:
        return Tokens("").mint(key=self.private_pem, algorithm="RS256", kid=self.kid, **claims)

    def as_jwk(self) -> dict[str, Any]:
        numbers = jwk.construct(self.public_pem, "RS256").to_dict()
        return {name: numbers[name] for name in ("kty", "n", "e")} | {"kid": self.kid, "alg": "RS256", "use": "sig"}


def in_seconds(seconds: float) -> int:
    return int(time.time() + seconds)


def unsigned(**claims: Any) -> str:
    """Return a token that claims to need no signature."""
    return forged({"alg": "none", "typ": "JWT"}, {"exp": in_seconds(600), **claims})


def forged(header: dict[str, Any], claims: dict[str, Any], *, hmac_key: str | None = None) -> str:
    """Put a token together by hand, as no library would: signed with any text, or not at all."""
    signed = f"{_part(json.dumps(header).encode())}.{_part(json.dumps(claims).encode())}"
    signature = b"" if hmac_key is None else hmac.digest(hmac_key.encode(), signed.encode(), hashlib.sha256)
    return f"{signed}.{_part(signature)}"


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
