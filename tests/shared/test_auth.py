"""Who a token speaks for, and every known way to make one speak for somebody else."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from shared.auth import TOKEN_MAX_BYTES, Principal, bearer_token
from tests.shared.issuer import SigningKey
from tests.shared.tokens import b64, claims, hmac_token, unsigned_token
from tests.shared.verifiers import EC, RSA, by_public_key, by_secret, refused

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


@pytest.mark.parametrize("crit", [["exp"], ["b64"], ["unheard-of"], [], None, "b64"])
async def test_a_token_that_must_not_be_taken_without_an_extension_is_refused(crit: Any) -> None:
    assert await refused(hmac_token(claims(), crit=crit, b64=True)) == "invalid"


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
