"""Who a token speaks for.

One small verifier around python-jose, so that another library could take its place. Its known traps are closed here:
one algorithm per configuration, pinned; HMAC secrets of at least 32 bytes and public keys in PEM or from a JWKS
(settings see to it); ``exp`` and ``sub`` required, ``iss`` and ``aud`` too when they are configured (python-jose lets a
token without ``aud`` pass); the token's length bounded; ``kid`` looked up by us; ``crit`` heeded.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol

import httpx
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jose import jwk, jwt
from jose.exceptions import ExpiredSignatureError, JOSEError, JWTClaimsError

from shared.errors import InvalidToken, InvalidUserId, KeysUnavailable, SettingsError
from shared.ids import user_id
from shared.settings import CommonSettings
from shared.single_flight import SingleFlight

logger = logging.getLogger(__name__)

Key = Any  # jose.backends.base.Key; python-jose has no types

TOKEN_MAX_BYTES: Final = 3 * 1024
_FOREVER: Final = 253402300800  # the year 10000: what lies beyond is no time
_KEY_TYPES: Final = {"RS": "RSA", "ES": "EC"}
_CURVES: Final = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
_JWKS_RETRY: Final = 10.0  # s between fetches; an unknown kid may not be used to hammer the issuer
_JWKS_PATIENCE: Final = 10.0  # s for a fetch: a handshake may wait for it, and bytes may come one by one
_JWKS_REFRESH: Final = 2700.0  # s after which keys are fetched again, while the known ones serve
_JWKS_TTL: Final = 3600.0  # s after which keys that nobody has tried to fetch again are not trusted unseen


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a token speaks for.

    Attributes:
        expires_at: seconds since the Unix epoch.
        is_admin: only JSON ``true`` makes an admin.
    """

    user_id: str
    username: str
    is_admin: bool
    expires_at: float
    scopes: frozenset[str] = frozenset()


class KeySource(Protocol):
    async def key_for(self, token: str) -> Key:
        """Return the key that must have signed this token; raises ``InvalidToken``."""

    async def aclose(self) -> None: ...


class FixedKey:
    """One key for all tokens, constructed once: otherwise python-jose would try to parse it as JSON for each token."""

    def __init__(self, key: str, algorithm: str) -> None:
        self._key: Key = jwk.construct(key, algorithm)

    def must_verify(self, algorithm: str) -> None:
        """Raise ``ValueError`` if it is no public key for an algorithm; python-jose would refuse every token by it."""
        key = self._key.prepared_key
        curve = key.curve.name if isinstance(key, EllipticCurvePublicKey) else None
        if not (isinstance(key, RSAPublicKey) if algorithm.startswith("RS") else curve == _CURVES[algorithm]):
            raise ValueError

    async def key_for(self, token: str) -> Key:
        return self._key

    async def aclose(self) -> None:
        """Nothing to close."""


class JwksKeys:
    """Public keys from an issuer's JWKS, by ``kid``; fetched at most every ten seconds.

    an unknown ``kid``                          waits for a fetch
    a known one, fetched within 45 minutes      is served
    a known one, older                          is served, while the keys are fetched in the background
    a known one, not even tried for an hour     waits for a fetch: a withdrawn key dies within the hour

    So an issuer that hangs is waited for once at most, and known keys hold as long as it does not answer.
    """

    def __init__(self, url: str, algorithm: str, trusted: ssl.SSLContext | bool = True) -> None:
        self._url, self._algorithm, self._trusted = url, algorithm, trusted
        self._keys: dict[str, Key] = {}
        self._fetched, self._tried = float("-inf"), float("-inf")
        self._fetching: SingleFlight[str, None] = SingleFlight(self._fetch, "jwks")

    async def key_for(self, token: str) -> Key:
        kid = jwt.get_unverified_header(token).get("kid")
        if not isinstance(kid, str):
            raise InvalidToken("names no key")
        now = time.monotonic()
        if kid not in self._keys or now - self._tried > _JWKS_TTL:
            await self._fetching.answer(self._url)
        elif now - self._fetched > _JWKS_REFRESH and now - self._tried >= _JWKS_RETRY:
            self._fetching.start(self._url)
        if kid not in self._keys:
            if self._fetched == float("-inf"):
                raise KeysUnavailable(f"no keys from {self._url} yet")
            raise InvalidToken("signed by an unknown key")
        return self._keys[kid]

    async def aclose(self) -> None:
        await self._fetching.aclose()

    async def _fetch(self, url: str) -> None:
        now = time.monotonic()
        if now - self._tried < _JWKS_RETRY:
            return
        self._tried = now
        try:
            keys = [key for key in (await _fetch_json(url, self._trusted))["keys"] if self._usable(key)]
        except (httpx.HTTPError, TimeoutError, ValueError, KeyError, TypeError, AttributeError) as exc:
            logger.warning("jwks cannot be read; known keys hold", extra={"url": url, "error": repr(exc)})
            return
        self._keys = {key["kid"]: made for key in keys if (made := self._made(key)) is not None}
        self._fetched = time.monotonic()

    def _made(self, key: dict[str, Any]) -> Key | None:
        """Return the key, or what was known under its name if it is broken: it is to harm no other."""
        try:
            return jwk.construct(key, self._algorithm)
        except (JOSEError, ValueError, KeyError, TypeError) as exc:
            logger.warning("a key of the jwks is broken", extra={"kid": key["kid"], "error": repr(exc)})
            return self._keys.get(key["kid"])

    def _usable(self, key: dict[str, Any]) -> bool:
        return (
            isinstance(key.get("kid"), str)
            and key.get("kty") == _KEY_TYPES[self._algorithm[:2]]
            and key.get("use", "sig") == "sig"
            and key.get("alg", self._algorithm) == self._algorithm
        )


async def _fetch_json(url: str, trusted: ssl.SSLContext | bool) -> dict[str, Any]:
    async with asyncio.timeout(_JWKS_PATIENCE), httpx.AsyncClient(timeout=5, verify=trusted) as client:
        response = await client.get(url)
        response.raise_for_status()
        body: dict[str, Any] = response.json()
        return body


class TokenVerifier:
    """Turns a token into a :class:`Principal`, or raises :class:`InvalidToken` with a short reason.

    Attributes:
        failures: tokens that proved nothing, by that word.
    """

    def __init__(self, keys: KeySource, algorithm: str, issuer: str | None = None, audience: str | None = None) -> None:
        self._keys, self._algorithm, self._issuer, self._audience = keys, algorithm, issuer, audience
        self.failures: Counter[str] = Counter()
        self._options = {
            "require_exp": True,
            "verify_sub": False,  # an integer is a user id too; _principal looks closer (require_sub would undo this)
            "require_iss": issuer is not None,
            "require_aud": audience is not None,
            "verify_aud": audience is not None,
        }

    @classmethod
    def from_settings(cls, settings: CommonSettings) -> TokenVerifier:
        keys: KeySource
        if settings.jwt_secret is not None:
            keys = FixedKey(settings.jwt_secret.get_secret_value(), settings.algorithm)
        elif settings.jwt_jwks_url is not None:
            keys = JwksKeys(settings.jwt_jwks_url, settings.algorithm, settings.trusted)
        else:
            try:
                keys = FixedKey(settings.public_key_pem, settings.algorithm)
                keys.must_verify(settings.algorithm)
            except (JOSEError, ValueError) as exc:
                raise SettingsError(f"JWT_PUBLIC_KEY is no public key for {settings.algorithm}") from exc
        return cls(keys, settings.algorithm, settings.jwt_issuer, settings.jwt_audience)

    async def aclose(self) -> None:
        await self._keys.aclose()

    async def verify(self, token: str) -> Principal:
        """Return whom the token speaks for.

        Raises:
            InvalidToken: it proves nothing; the reason is one of a few fixed phrases.
            KeysUnavailable: the issuer's keys have never been fetched and cannot be just now.
        """
        try:
            return await self._judge(token)
        except InvalidToken as exc:
            self.failures[exc.reason] += 1
            raise

    async def _judge(self, token: str) -> Principal:
        if not token:
            raise InvalidToken("missing")
        if len(token) > TOKEN_MAX_BYTES:
            raise InvalidToken("too long")
        try:
            if _asks_for_more(token.partition(".")[0]):
                raise InvalidToken("invalid")
            key = await self._keys.key_for(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=[self._algorithm],
                audience=self._audience,
                issuer=self._issuer,
                options=self._options,
            )
        except ExpiredSignatureError:
            raise InvalidToken("expired") from None
        except JWTClaimsError:
            raise InvalidToken("claims refused") from None
        except (JOSEError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError):
            raise InvalidToken("invalid") from None
        return _principal(claims)


@lru_cache(maxsize=64)  # an issuer's tokens have few headers
def _asks_for_more(head: str) -> bool:
    """Return whether whoever does not understand an extension has to refuse the token (RFC 7515, section 4.1.11)."""
    return "crit" in jwt.get_unverified_header(f"{head}..")  # python-jose passes over it


def _principal(claims: dict[str, Any]) -> Principal:
    expires = claims["exp"]
    if isinstance(expires, bool) or not isinstance(expires, int | float) or not 0 < expires < _FOREVER:
        raise InvalidToken("claims refused")
    try:
        user = user_id(claims.get("sub"))
    except InvalidUserId:
        raise InvalidToken("claims refused") from None
    username, scope = claims.get("username"), claims.get("scope")
    return Principal(
        user_id=user,
        username=username[:128].encode(errors="replace").decode() if isinstance(username, str) and username else user,
        is_admin=claims.get("is_admin") is True,
        expires_at=float(expires),
        scopes=frozenset(scope.split()) if isinstance(scope, str) else frozenset(),
    )


def bearer_token(header: str | None) -> str:
    """Return the token of an ``Authorization: Bearer`` header, or ``""``.

    Raises:
        InvalidToken: there are several, for repeated headers are a list; no token has a comma.
    """
    scheme, _, token = (header or "").partition(" ")
    if "," in token:
        raise InvalidToken("given more than once")
    return token.strip() if scheme.lower() == "bearer" else ""
