"""What a process logs, and in which form: settings, floods, the audit, and what goes wrong while logging."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from router.settings import RouterSettings
from shared import trace_context
from shared.flood import FloodGuard
from shared.log_formats import JsonFormatter, Source
from shared.logs import GuardedHandler, changed, secrets_of
from shared.redaction import Redactor
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
START = """
import logging
import os
from shared import audit, logs
from shared.settings import CommonSettings
settings = CommonSettings()
logs.configure(settings, "node", "node-1")
logger = logging.getLogger("node.somewhere")
"""


def run(program: str, **env: str) -> list[dict[str, Any]]:
    """Run a program that has its logs configured by settings, and return its lines."""
    ended = subprocess.run(
        [sys.executable, "-W", "default", "-c", START + program],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout == ""
    return [json.loads(line) for line in ended.stderr.split("\n")[:-1]]


def events(lines: list[dict[str, Any]]) -> list[str]:
    return [line["event"] for line in lines]


# --- the process


def test_without_a_terminal_every_line_is_json_with_its_origin() -> None:
    (line,) = run("logger.info('node up', extra={'port': 8000})")
    assert (line["service"], line["instance"], line["port"]) == ("node", "node-1", 8000)


def test_log_format_text_is_for_people_and_without_a_terminal_has_no_colours() -> None:
    program = f"{START}\nlogs.tell_settings(settings)"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"LOG_FORMAT": "text"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'info    shared.logs · settings read changed={"LOG_FORMAT":"set"}' in ended.stderr
    assert "\x1b" not in ended.stderr


@pytest.mark.parametrize(
    ("no_colour", "has_colours"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_a_terminal_gets_text_with_colours_unless_they_are_not_wanted(
    no_colour: dict[str, str], has_colours: bool
) -> None:
    ours, theirs = os.openpty()
    env = {"TERM": "xterm"} | no_colour
    program = f"{START}\nlogs.tell_settings(settings)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=env, stderr=theirs, check=True)
    text = os.read(ours, 4096).decode()
    os.close(ours)
    os.close(theirs)
    assert "settings read" in text
    assert ("\x1b[" in text) == has_colours


@pytest.mark.parametrize("level", ["ERROR", "CRITICAL"])
def test_the_audit_is_written_whatever_the_level(level: str) -> None:
    program = "logger.info('x'); audit.write(audit.AuditEvent(action='broadcast', outcome='accepted', status=202))"
    (line,) = run(program, LOG_LEVEL=level)
    assert (line["logger"], line["event"], line["action"]) == ("audit", "audit", "broadcast")


def test_what_libraries_say_of_requests_is_not_logged_at_any_level() -> None:
    program = "".join(
        f"logging.getLogger({name!r}).debug('head'); logging.getLogger({name!r}).info('head')\n"
        for name in ("httpx", "httpcore.http11", "uvicorn.error", "uvicorn.access", "websockets.server")
    )
    assert "head" not in events(run(program, LOG_LEVEL="DEBUG"))


def test_warnings_and_errors_that_nobody_caught_are_lines_too() -> None:
    program = "import warnings; warnings.warn('old')\nraise ValueError('Bearer opaque-token-1')"
    warning, error = run(program)
    assert (warning["logger"], warning["level"]) == ("py.warnings", "warning")
    assert (error["event"], error["level"]) == ("an error that nobody caught", "critical")
    assert error["exception"].endswith("ValueError: bearer ***")


def test_a_line_that_cannot_be_made_is_told_of_without_what_it_was_made_of() -> None:
    (lost,) = run("logger.info('%d', 'canary')")
    assert lost["event"] == "a line was lost"
    assert "canary" not in json.dumps(lost)


# --- its settings


def settings(**more: Any) -> RouterSettings:
    return RouterSettings(router_api_keys="first-service-key-1, second-service-key", jwt_secret="s" * 40, **more)


def test_all_secrets_of_the_settings_are_known() -> None:
    found = set(secrets_of(settings(redis_url="redis://user:p%40ssword@redis:6379/0")))
    assert found >= {"first-service-key-1", "second-service-key", "s" * 40, "p@ssword", "p%40ssword"}


def test_what_differs_from_the_defaults_is_told_without_texts() -> None:
    told = changed(
        settings(redis_url="redis://u:secret-word@redis/1", redis_timeout=5, history_length=200, ssl_cert_file=None)
    )
    assert told == {"ROUTER_API_KEYS": "set", "JWT_SECRET": "set", "REDIS_URL": "set", "REDIS_TIMEOUT": 5.0}


# --- floods


def handler(burst: int = 3, seconds: float = 1.0) -> tuple[logging.Logger, GuardedHandler, StringIO]:
    stream = StringIO()
    made = GuardedHandler(stream, FloodGuard(burst, seconds))
    made.setFormatter(JsonFormatter(Source("node", "node-1", "1"), Redactor()))
    logger = logging.Logger("node.somewhere", logging.DEBUG)
    logger.addHandler(made)
    return logger, made, stream


def lines_of(stream: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_a_flood_is_cut_and_its_last_line_tells_how_much_was_left_out() -> None:
    logger, _, stream = handler()
    for number in range(1000):
        logger.info("handshake refused", extra={"reason": "token expired", "number": number})
    logger.info("handshake refused", extra={"reason": "user blocked"})
    assert [line.get("number") for line in lines_of(stream)] == [0, 1, 2, None]
    await until(lambda: len(lines_of(stream)) == 5)
    last = lines_of(stream)[-1]
    assert (last["number"], last["suppressed"]) == (999, 996)


async def test_a_line_that_is_told_later_has_the_trace_of_its_own_work() -> None:
    logger, _, stream = handler(burst=0)
    told: list[str] = []

    async def refuse() -> None:
        told.append(trace_context.continued(None)[3:35])
        logger.info("handshake refused")

    for _ in range(3):  # the first of them sets the timer
        await asyncio.create_task(refuse())
    logger.info("tops cannot be compared")
    await until(lambda: len(lines_of(stream)) == 2)
    assert {line["event"]: line.get("trace_id") for line in lines_of(stream)} == {
        "handshake refused": told[-1],
        "tops cannot be compared": None,
    }


async def test_a_line_of_no_trace_gets_none_from_the_work_that_was_told_of_before() -> None:
    logger, _, stream = handler(burst=0)

    async def serve() -> None:
        trace_context.continued(None)
        logger.info("redis connection lost")

    await asyncio.create_task(serve())
    logger.info("redis connection lost")
    await until(lambda: len(lines_of(stream)) == 1)
    assert "trace_id" not in lines_of(stream)[0]


def test_what_was_left_out_is_told_at_the_end_at_the_latest() -> None:
    logger, made, stream = handler(seconds=60)
    for _ in range(5):
        logger.warning("user check failed")
    made.close()
    assert [line.get("suppressed") for line in lines_of(stream)] == [None, None, None, 1]


def test_debug_critical_and_accepted_privileged_calls_are_never_left_out() -> None:
    logger, made, stream = handler(burst=0, seconds=60)
    audit = logging.Logger("audit")
    audit.addHandler(made)
    for _ in range(5):
        logger.debug("user connected")
        logger.critical("a part died; stopping")
        audit.info("audit", extra={"action": "broadcast"})
    assert len(lines_of(stream)) == 15


def test_refused_calls_are_limited_by_what_was_tried_and_by_whom() -> None:
    _, made, stream = handler(burst=2, seconds=60)
    audit = logging.Logger("audit")
    audit.addHandler(made)
    for _ in range(5):
        for address in ("10.0.0.1", "10.0.0.2"):
            audit.info("audit", extra={"address": address, "flood_key": ("publish", 401, address)})
    assert [line["address"] for line in lines_of(stream)] == ["10.0.0.1", "10.0.0.2"] * 2
    assert "flood_key" not in stream.getvalue()
