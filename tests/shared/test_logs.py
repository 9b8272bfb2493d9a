"""Logs are events with fields, and never show a secret."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from shared.logs import JsonFormatter, TextFormatter, redact

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


def record(message: str, *args: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("node.drain", logging.WARNING, __file__, 1, message, args, None)
    vars(made).update(fields)
    return made


def test_a_line_for_machines_is_one_json_object_with_the_events_fields() -> None:
    event = json.loads(JsonFormatter().format(record("drain begins: %s", "用户", connections=5)))
    assert event.pop("time").endswith("+00:00")
    assert event == {"level": "warning", "logger": "node.drain", "event": "drain begins: 用户", "connections": 5}


def test_a_line_for_people_shows_the_fields_too() -> None:
    assert (
        TextFormatter()
        .format(record("drain begins", connections=5))
        .endswith("warning node.drain · drain begins connections=5")
    )


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_secrets_in_arguments_fields_and_tracebacks_are_taken_out(formatter: logging.Formatter) -> None:
    line = record("GET %s", f"/ws?token={JWT}", url="redis://:hunter22@redis", error=f"bad {JWT}")
    try:
        raise ValueError(f"token={JWT}")
    except ValueError:
        line.exc_info = sys.exc_info()
    text = formatter.format(line)
    assert JWT not in text
    assert JWT.split(".")[1] not in text
    assert "hunter22" not in text
    assert "ValueError" in text
