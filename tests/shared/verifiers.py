"""Verifiers of tokens, and keys to sign with."""

from __future__ import annotations

import pytest

from shared.auth import TokenVerifier
from shared.errors import InvalidToken
from shared.settings import CommonSettings
from tests.shared.issuer import SigningKey
from tests.shared.tokens import SECRET

RSA, EC = SigningKey("rsa-1"), SigningKey("ec-1", "ES256")


def by_secret(issuer: str | None = None, audience: str | None = None) -> TokenVerifier:
    return TokenVerifier.from_settings(CommonSettings(jwt_secret=SECRET, jwt_issuer=issuer, jwt_audience=audience))


def by_public_key(key: SigningKey = RSA) -> TokenVerifier:
    return TokenVerifier.from_settings(CommonSettings(jwt_public_key=key.public_pem, jwt_algorithm=key.algorithm))


async def refused(token: str, verifier: TokenVerifier | None = None) -> str:
    """Return why the token was refused; fail if it was not."""
    with pytest.raises(InvalidToken) as caught:
        await (verifier or by_secret()).verify(token)
    assert token == "" or token not in str(caught.value)
    return caught.value.reason
