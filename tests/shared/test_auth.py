"""Who a token speaks for, and every known way to make one speak for somebody else."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic import ValidationError

from shared import auth
from shared.auth import TOKEN_MAX_BYTES, Principal, TokenVerifier, bearer_token
from shared.errors import InvalidToken, KeysUnavailable, SettingsError
from shared.settings import CommonSettings
from tests.shared.issuer import Issuer, SigningKey
from tests.shared.tokens import SECRET, b64, claims, hmac_token, unsigned_token
from tests.support.clock import clock_of
from tests.support.waiting import at_once, until

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


# --- whom a good token speaks for


async def test_a_good_token_speaks_for_its_subject() -> None:
    exp = int(time.time()) + 60
    principal = await by_secret().verify(hmac_token(claims(exp=exp)))
    assert principal == Principal("7", "7", is_admin=False, expires_at=exp, scopes=frozenset())


async def test_an_integer_subject_means_its_decimal_form() -> None:
    assert (await by_secret().verify(hmac_token(claims(sub=7)))).user_id == "7"


@pytest.mark.parametrize("sub", ["", "a b", "a.b", "用户", "a" * 129, True, 1.5, [], {}, ["7"]])
async def test_a_subject_that_is_no_user_id_is_refused(sub: Any) -> None:
    assert await refused(hmac_token(claims(sub=sub))) == "claims refused"


@pytest.mark.parametrize(
    ("value", "is_admin"),
    [
        (True, True),
        (False, False),
        (1, False),
        ("true", False),
        ("True", False),
        ([True], False),
        ({}, False),
        (None, False),
    ],
)
async def test_json_true_and_nothing_else_makes_an_admin(value: Any, is_admin: bool) -> None:
    assert (await by_secret().verify(hmac_token(claims(is_admin=value)))).is_admin is is_admin


@pytest.mark.parametrize(
    ("value", "username"),
    [("管理员", "管理员"), ("", "7"), (None, "7"), (5, "7"), (["x"], "7"), ("x" * 500, "x" * 128)],
)
async def test_a_username_is_shown_and_is_by_default_the_subject(value: Any, username: str) -> None:
    assert (await by_secret().verify(hmac_token(claims(username=value)))).username == username


@pytest.mark.parametrize(
    ("value", "scopes"),
    [("publish read", {"publish", "read"}), ("", set()), (None, set()), (["publish"], set()), (1, set())],
)
async def test_scopes_are_separated_by_spaces(value: Any, scopes: set[str]) -> None:
    assert (await by_secret().verify(hmac_token(claims(scope=value)))).scopes == scopes


async def test_public_keys_of_both_families_are_understood() -> None:
    for key in (RSA, EC):
        assert (await by_public_key(key).verify(key.sign(claims()))).user_id == "7"


# --- python-jose's traps


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", "HS256"])
async def test_a_token_without_a_signature_is_refused(alg: str) -> None:
    assert await refused(unsigned_token(claims(is_admin=True), alg))
    assert await refused(unsigned_token(claims(is_admin=True), alg), by_public_key())


@pytest.mark.parametrize(("alg", "hashed"), [("HS384", "sha384"), ("HS512", "sha512")])
async def test_another_hmac_algorithm_than_the_pinned_one_is_refused(alg: str, hashed: str) -> None:
    assert await refused(hmac_token(claims(), alg=alg, hashed=hashed))


@pytest.mark.parametrize("key", [RSA, EC], ids=["RSA", "EC"])
@pytest.mark.parametrize("form", ["PEM", "PEM without its last line break", "DER"])
@pytest.mark.parametrize("alg", ["HS256", "RS256", "ES256"])
async def test_a_public_key_is_no_hmac_secret(key: SigningKey, form: str, alg: str) -> None:
    pem = key.public_pem.encode()
    secret = {"PEM": pem, "PEM without its last line break": pem.strip(), "DER": key.public_der}[form]
    assert await refused(hmac_token(claims(is_admin=True), key=secret, alg=alg), by_public_key(key))


async def test_a_token_of_one_public_key_family_is_refused_by_the_other() -> None:
    assert await refused(RSA.sign(claims()), by_public_key(EC))
    assert await refused(EC.sign(claims()), by_public_key(RSA))


@pytest.mark.parametrize("key", [b"", b"\0", b"0123456789abcdef0123456789abcdeF"])
async def test_another_secret_is_refused_the_empty_one_too(key: bytes) -> None:
    assert await refused(hmac_token(claims(), key=key)) == "invalid"


async def test_a_changed_body_is_refused() -> None:
    head, _, signature = hmac_token(claims()).split(".")
    body = b64(json.dumps(claims(is_admin=True)).encode())
    assert await refused(f"{head}.{body}.{signature}") == "invalid"


async def test_a_key_that_the_token_brings_along_is_not_believed() -> None:
    theirs = SigningKey("theirs")
    token = theirs.sign(claims(is_admin=True), jwk=theirs.as_jwk(), jku="https://evil.example/jwks", x5u="https://evil")
    assert await refused(token, by_public_key()) == "invalid"


# --- claims


@pytest.mark.parametrize("missing", ["exp", "sub"])
async def test_exp_and_sub_are_required(missing: str) -> None:
    assert await refused(hmac_token(claims(**{missing: None}))) in {"claims refused", "invalid"}


async def test_a_token_whose_time_is_over_has_expired() -> None:
    assert await refused(hmac_token(claims(exp=int(time.time()) - 1))) == "expired"


@pytest.mark.parametrize(
    "exp",
    [
        '"9999999999"',
        '"soon"',
        "true",
        "null",
        "[]",
        "{}",
        "0",
        "-1",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "1e300",
        "253402300800",
        "9" * 400,
    ],
)
async def test_an_exp_that_is_no_time_is_refused(exp: str) -> None:
    assert await refused(hmac_token(f'{{"sub":"7","exp":{exp}}}')) in {"expired", "claims refused", "invalid"}


async def test_an_exp_with_a_fraction_is_a_time() -> None:
    exp = time.time() + 60.5
    assert (await by_secret().verify(hmac_token(claims(exp=exp)))).expires_at == pytest.approx(exp)


@pytest.mark.parametrize("claim", ["nbf", "iat"])
@pytest.mark.parametrize("value", ['"x"', "NaN", "Infinity", "1e400", "[]"])
async def test_other_times_that_are_none_are_refused(claim: str, value: str) -> None:
    assert await refused(hmac_token(f'{{"sub":"7","exp":{int(time.time()) + 60},"{claim}":{value}}}'))


async def test_a_token_from_the_future_is_refused() -> None:
    assert await refused(hmac_token(claims(nbf=int(time.time()) + 60))) == "claims refused"


@pytest.mark.parametrize("iss", [None, "", "https://other", "https://issuer/", 1, ["https://issuer"]])
async def test_the_configured_issuer_is_required(iss: Any) -> None:
    verifier = by_secret(issuer="https://issuer")
    assert (await verifier.verify(hmac_token(claims(iss="https://issuer")))).user_id == "7"
    assert await refused(hmac_token(claims(iss=iss)), verifier) in {"claims refused", "invalid"}


@pytest.mark.parametrize("aud", [None, "", "other", [], ["other"], 1, {"videosite": 1}, [["videosite"]]])
async def test_the_configured_audience_is_required(aud: Any) -> None:
    assert await refused(hmac_token(claims(aud=aud)), by_secret(audience="videosite")) in {"claims refused", "invalid"}


@pytest.mark.parametrize("aud", ["videosite", ["videosite"], ["other", "videosite"]])
async def test_the_configured_audience_may_be_one_of_several(aud: Any) -> None:
    assert (await by_secret(audience="videosite").verify(hmac_token(claims(aud=aud)))).user_id == "7"


@pytest.mark.parametrize("aud", ["other", ["a", "b"]])
async def test_without_a_configured_audience_the_claim_means_nothing(aud: Any) -> None:
    assert (await by_secret().verify(hmac_token(claims(aud=aud, iss="anybody")))).user_id == "7"


# --- what is no token


@pytest.mark.parametrize(
    "token",
    [
        "x",
        ".",
        "..",
        "...",
        "a.b.c",
        "a.b.c.d.e",
        "\0\0\0",
        "é.é.é",
        "\ud800.\ud800.\ud800",
        "%00.%00.%00",
        f"{b64(b'[]')}.{b64(b'{}')}.x",
        f"{b64(b'null')}.{b64(b'{}')}.x",
        f"{b64(bytes(range(128, 160)))}.{b64(b'{}')}.x",
        f"{b64(b'[' * 1500)}.x.x",
        hmac_token("[]"),
        hmac_token("null"),
        hmac_token("1"),
        hmac_token('"text"'),
        hmac_token("{"),
        hmac_token(""),
        hmac_token("[" * 1500),
    ],
)
async def test_garbage_is_no_token(token: str) -> None:
    assert await refused(token) in {"invalid", "claims refused"}


async def test_no_token_is_said_to_be_missing() -> None:
    assert await refused("") == "missing"


async def test_a_token_has_at_most_3_kib() -> None:
    token = hmac_token(claims(scope="x" * 1000))
    longest = token + "A" * (TOKEN_MAX_BYTES - len(token))
    assert TOKEN_MAX_BYTES == 3 * 1024
    assert await refused(longest) == "invalid"
    assert await refused(longest + "A") == "too long"
    assert await refused("x" * 10_000_000) == "too long"


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("Bearer  abc ", "abc"),
        ("Basic abc", ""),
        ("abc", ""),
        ("Bearer", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_a_bearer_header_holds_a_token(header: str | None, token: str) -> None:
    assert bearer_token(header) == token


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


async def test_a_key_in_pem_that_is_no_key_is_refused_at_start_by_its_name() -> None:
    broken = "-----BEGIN PUBLIC KEY-----\nMFkwEwYH\n-----END PUBLIC KEY-----"
    with pytest.raises((SettingsError, ValidationError), match="JWT_PUBLIC_KEY"):
        TokenVerifier.from_settings(CommonSettings(jwt_public_key=broken))


async def test_issuer_and_audience_come_from_the_settings() -> None:
    settings = CommonSettings(jwt_secret=SECRET, jwt_issuer="https://issuer", jwt_audience="videosite")
    verifier = TokenVerifier.from_settings(settings)
    assert await verifier.verify(hmac_token(claims(iss="https://issuer", aud="videosite")))
    assert await refused(hmac_token(claims()), verifier) in {"claims refused", "invalid"}
