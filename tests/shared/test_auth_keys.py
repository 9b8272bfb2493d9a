"""Where the keys come from that verify tokens: a JWKS, or the settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic import ValidationError

from shared import auth
from shared.auth import TokenVerifier
from shared.errors import KeysUnavailable, SettingsError
from shared.settings import CommonSettings
from tests.shared.issuer import Issuer, SigningKey
from tests.shared.tokens import SECRET, b64, claims, hmac_token
from tests.shared.verifiers import EC, RSA, refused
from tests.support.clock import clock_of
from tests.support.endless import endless_answer
from tests.support.waiting import at_once, until

# --- keys from a JWKS


@pytest.fixture
async def issuer(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Issuer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with Issuer().running() as issuer:
        yield issuer


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the verifier's clock forward."""

    return clock_of(auth, monkeypatch).forward


def by_jwks(issuer: Issuer, algorithm: str = "RS256") -> TokenVerifier:
    return TokenVerifier.from_settings(CommonSettings(jwt_jwks_url=issuer.url, jwt_algorithm=algorithm))


async def test_a_key_is_found_by_its_kid_and_fetched_once(issuer: Issuer) -> None:
    issuer.publish(SigningKey("old", "ES256").as_jwk(), RSA.as_jwk())
    verifier = by_jwks(issuer)
    for _ in range(3):
        assert (await verifier.verify(RSA.sign(claims()))).user_id == "7"
    assert issuer.fetched == 1


async def test_a_key_is_not_tried_under_another_kid(issuer: Issuer) -> None:
    issuer.publish(RSA.as_jwk(kid="another"))
    assert await refused(RSA.sign(claims()), by_jwks(issuer)) == "signed by an unknown key"


async def test_unknown_kids_cannot_be_used_to_hammer_the_issuer(issuer: Issuer) -> None:
    issuer.publish(RSA.as_jwk())
    verifier = by_jwks(issuer)
    for number in range(20):
        assert await refused(RSA.sign(claims(), kid=f"made-up-{number}"), verifier) == "signed by an unknown key"
    assert (await verifier.verify(RSA.sign(claims()))).user_id == "7"
    assert issuer.fetched == 1


@pytest.mark.parametrize("kid", [None, 1, ["rsa-1"], {}])
async def test_a_token_that_names_no_key_is_refused(issuer: Issuer, kid: Any) -> None:
    issuer.publish(RSA.as_jwk())
    assert await refused(RSA.sign(claims(), kid=kid), by_jwks(issuer)) in {"names no key", "invalid"}
    assert issuer.fetched == 0


async def test_a_new_key_of_the_issuers_is_found(issuer: Issuer, later: Callable[[float], None]) -> None:
    issuer.publish(RSA.as_jwk())
    verifier = by_jwks(issuer)
    await verifier.verify(RSA.sign(claims()))
    fresh = SigningKey("rsa-2")
    issuer.publish(RSA.as_jwk(), fresh.as_jwk())
    later(11)
    assert (await verifier.verify(fresh.sign(claims()))).user_id == "7"
    assert (await verifier.verify(RSA.sign(claims()))).user_id == "7"
    assert issuer.fetched == 2


async def test_a_key_that_the_issuer_withdrew_dies_within_an_hour(
    issuer: Issuer, later: Callable[[float], None]
) -> None:
    issuer.publish(RSA.as_jwk())
    verifier = by_jwks(issuer)
    await verifier.verify(RSA.sign(claims()))
    issuer.publish(SigningKey("rsa-2").as_jwk())
    later(3601)
    assert await refused(RSA.sign(claims()), verifier) == "signed by an unknown key"


async def test_known_keys_hold_while_the_issuer_is_down(issuer: Issuer, later: Callable[[float], None]) -> None:
    issuer.publish(RSA.as_jwk())
    verifier = by_jwks(issuer)
    await verifier.verify(RSA.sign(claims()))
    issuer.status = "503 Service Unavailable"
    later(3601)
    assert (await verifier.verify(RSA.sign(claims()))).user_id == "7"
    assert issuer.fetched == 2


async def test_an_aged_key_serves_while_it_is_fetched_anew(issuer: Issuer, later: Callable[[float], None]) -> None:
    issuer.publish(RSA.as_jwk())
    verifier = by_jwks(issuer)
    await verifier.verify(RSA.sign(claims()))
    fresh = SigningKey("rsa-2")
    issuer.publish(fresh.as_jwk())
    issuer.answers.clear()  # it hangs
    later(2701)
    for _ in range(50):
        assert at_once(verifier.verify(RSA.sign(claims()))).user_id == "7"
    await until(lambda: issuer.fetched == 2)
    assert at_once(verifier.verify(RSA.sign(claims()))).user_id == "7"
    stranger = asyncio.create_task(verifier.verify(fresh.sign(claims())))
    issuer.answers.set()
    assert (await stranger).user_id == "7", "who comes with an unknown key waits for the fetch that is under way"
    assert await refused(RSA.sign(claims()), verifier) == "signed by an unknown key"
    assert issuer.fetched == 2


async def test_an_issuer_that_stays_away_is_waited_for_once(issuer: Issuer, later: Callable[[float], None]) -> None:
    issuer.publish(RSA.as_jwk())
    verifier = by_jwks(issuer)
    await verifier.verify(RSA.sign(claims()))
    issuer.status = "503 Service Unavailable"
    later(3601)
    await verifier.verify(RSA.sign(claims()))
    for fetched in (3, 4, 5):
        later(11)
        await until(lambda n=fetched: at_once(verifier.verify(RSA.sign(claims()))) and issuer.fetched == n)


async def test_an_issuer_whose_answer_does_not_end_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(auth, "_JWKS_PATIENCE", 0.2)
    async with endless_answer(b" ", pause=0.02) as url, asyncio.timeout(30):
        verifier = TokenVerifier(auth.JwksKeys(url, "RS256"), "RS256")
        with pytest.raises(KeysUnavailable):
            await verifier.verify(RSA.sign(claims()))
        await verifier.aclose()


async def test_a_verifier_that_is_closed_asks_nobody(issuer: Issuer, later: Callable[[float], None]) -> None:
    issuer.publish(RSA.as_jwk())
    verifier = by_jwks(issuer)
    await verifier.verify(RSA.sign(claims()))
    issuer.answers.clear()
    later(2701)
    at_once(verifier.verify(RSA.sign(claims())))
    await until(lambda: issuer.fetched == 2)
    await verifier.aclose()
    await until(lambda: issuer.left == 1)


@pytest.mark.parametrize(
    "published",
    [b"", b"<html>", b"[]", b'{"error":1}', b'{"keys":null}', b'{"keys":[1]}', b'{"keys":["x"]}', b"\xff\xfe"],
)
async def test_what_is_no_jwks_is_not_the_tokens_fault(issuer: Issuer, published: bytes) -> None:
    issuer.published = published
    with pytest.raises(KeysUnavailable):
        await by_jwks(issuer).verify(RSA.sign(claims()))


async def test_an_issuer_that_is_down_is_not_the_tokens_fault(issuer: Issuer, later: Callable[[float], None]) -> None:
    issuer.status = "503 Service Unavailable"
    verifier = by_jwks(issuer)
    with pytest.raises(KeysUnavailable):
        await verifier.verify(RSA.sign(claims()))
    issuer.status = "200 OK"
    issuer.publish(RSA.as_jwk())
    later(11)
    assert (await verifier.verify(RSA.sign(claims()))).user_id == "7"


@pytest.mark.parametrize(
    "unusable", [{"use": "enc"}, {"alg": "RS512"}, {"kty": "EC"}, {"kty": "oct", "k": b64(SECRET.encode())}]
)
async def test_a_key_for_another_use_is_none(issuer: Issuer, unusable: dict[str, str]) -> None:
    issuer.publish(RSA.as_jwk(**unusable))
    assert await refused(RSA.sign(claims()), by_jwks(issuer)) == "signed by an unknown key"


@pytest.mark.parametrize("broken", [{"n": None}, {"n": "="}, {"n": 5}, {"e": "é"}])
async def test_a_broken_key_harms_no_other(
    issuer: Issuer, later: Callable[[float], None], broken: dict[str, Any]
) -> None:
    other = SigningKey("rsa-2")
    issuer.publish(RSA.as_jwk(**broken), other.as_jwk())
    verifier = by_jwks(issuer)
    assert (await verifier.verify(other.sign(claims()))).user_id == "7"
    assert await refused(RSA.sign(claims()), verifier) == "signed by an unknown key"
    issuer.publish(RSA.as_jwk(), other.as_jwk(**broken))
    later(11)
    for key in (RSA, other):
        assert (await verifier.verify(key.sign(claims()))).user_id == "7"


async def test_a_public_key_from_a_jwks_is_no_hmac_secret(issuer: Issuer) -> None:
    issuer.publish(RSA.as_jwk())
    forged = hmac_token(claims(is_admin=True), key=RSA.public_pem.encode(), kid="rsa-1")
    assert await refused(forged, by_jwks(issuer))


# --- from the settings


async def test_each_kind_of_key_can_be_configured(issuer: Issuer) -> None:
    issuer.publish(RSA.as_jwk())
    for settings, token in (
        (CommonSettings(jwt_secret=SECRET), hmac_token(claims())),
        (CommonSettings(jwt_public_key=EC.public_pem, jwt_algorithm="ES256"), EC.sign(claims())),
        (CommonSettings(jwt_jwks_url=issuer.url), RSA.sign(claims())),
    ):
        assert (await TokenVerifier.from_settings(settings).verify(token)).user_id == "7"


@pytest.mark.parametrize(
    ("pem", "algorithm"),
    [
        (EC.public_pem, "RS256"),  # as it is by default
        (EC.public_pem, "ES384"),
        (RSA.public_pem, "ES256"),
        (RSA.private_pem, "RS256"),
        (EC.private_pem, "ES256"),
    ],
    ids=["another family", "another curve", "the other family", "a private key", "a private key on a curve"],
)
async def test_a_key_by_which_no_token_could_be_verified_is_refused_at_start(pem: str, algorithm: str) -> None:
    with pytest.raises(SettingsError, match=f"JWT_PUBLIC_KEY is no public key for {algorithm}"):
        TokenVerifier.from_settings(CommonSettings(jwt_public_key=pem, jwt_algorithm=algorithm))


async def test_a_key_in_pem_that_is_no_key_is_refused_at_start_by_its_name() -> None:
    broken = "-----BEGIN PUBLIC KEY-----\nMFkwEwYH\n-----END PUBLIC KEY-----"
    with pytest.raises((SettingsError, ValidationError), match="JWT_PUBLIC_KEY"):
        TokenVerifier.from_settings(CommonSettings(jwt_public_key=broken))


async def test_issuer_and_audience_come_from_the_settings() -> None:
    settings = CommonSettings(jwt_secret=SECRET, jwt_issuer="https://issuer", jwt_audience="videosite")
    verifier = TokenVerifier.from_settings(settings)
    assert await verifier.verify(hmac_token(claims(iss="https://issuer", aud="videosite")))
    assert await refused(hmac_token(claims()), verifier) in {"claims refused", "invalid"}
