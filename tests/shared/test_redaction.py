"""What looks like a credential is taken out of any text, and so is what is known to be one."""

from __future__ import annotations

import pytest

from shared.redaction import HIDDEN, Redactor, redact

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0.c2lnbmF0dXJl-_x"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f'"WebSocket /api/v1/ws?token={JWT}" [accepted]', JWT),
        ("GET /api/v1/ws?since=admin.1-1&token=opaque-token-1&x=1", "opaque-token-1"),
        ("GET /x?access_token=opaque-token-1", "opaque-token-1"),
        ("GET /x?TOKEN=opaque-token-1", "opaque-token-1"),
        ("GET /x?jwt=opaque-token-1", "opaque-token-1"),
        ("Authorization: Bearer opaque-token-1", "opaque-token-1"),
        ("authorization: bearer opaque-token-1", "opaque-token-1"),
        (f"Sec-WebSocket-Protocol: bearer, {JWT}", JWT),
        (f"a token {JWT} on its own", JWT),
        (f"{{'authorization': '{JWT}'}}", JWT),
        (f"cut off: {JWT[:60]}", JWT[10:60]),
        ("cannot reach redis://:s3cret-w0rd@redis:6379/0", "s3cret-w0rd"),
        ("cannot reach rediss://user:s3cret-w0rd@redis:6379/0", "s3cret-w0rd"),
        ("cannot reach unix://user:s3cret-w0rd@/run/redis.sock", "s3cret-w0rd"),
        ("cannot reach redis://user:s3cret@w0rd@redis:6379/0", "w0rd"),
        ("GET https://user:s3cret-w0rd@issuer.example.com/jwks failed", "s3cret-w0rd"),
    ],
)
def test_what_is_secret_is_taken_out(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in redact(text)


def test_what_stands_around_a_secret_stays() -> None:
    assert redact("GET /api/v1/ws?token=abc&since=admin.1-1 HTTP/1.1") == (
        "GET /api/v1/ws?token=***&since=admin.1-1 HTTP/1.1"
    )
    assert redact("redis://user:pw@redis:6379/0 is away").endswith("@redis:6379/0 is away")


@pytest.mark.parametrize(
    "text", ["drain begins", "token expired", "redis://127.0.0.1:6379/0", "the bearer of bad news", "id=u.Nw.1-2"]
)
def test_what_is_not_secret_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_a_secret_that_is_known_is_taken_out_wherever_it_stands() -> None:
    redactor = Redactor(["service-key-number-one", "service-key", "a.*b[c(8+)"])
    assert redactor.text("wrong: service-key-number-one!") == f"wrong: {HIDDEN}!"
    assert redactor.text("xservice-keyx") == f"x{HIDDEN}x"
    assert redactor.text("a.*b[c(8+)") == HIDDEN


def test_a_word_that_is_too_short_for_a_secret_takes_nothing_out() -> None:
    assert Redactor(["", "redis"]).text("redis is away") == "redis is away"


def test_fields_are_redacted_however_deep() -> None:
    value = {"a": [JWT, {"b": (f"Bearer {JWT}", 5, None, True)}], JWT: 1.5, "c": ValueError(JWT)}
    shown = Redactor().value(value)
    assert JWT not in str(shown)
    assert shown["a"][1]["b"][1:] == [5, None, True]
    assert shown[HIDDEN] == 1.5
