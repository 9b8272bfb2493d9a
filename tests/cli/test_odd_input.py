"""What a person may type by mistake, or mean otherwise than it looks: told in a line, and never a traceback."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import Result
from videosite_realtime_cli.identity import claims_of

from tests.cli.conftest import SECRET

Command = Callable[..., Result]
NOBODY = {"ROUTER_URL": "http://127.0.0.1:9", "ROUTER_API_KEY": "a-key", "JWT_SECRET": SECRET}


def words(result: Result) -> str:
    return " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize("percent", ["-1", "-.5", "101", "nan", "inf", "45%", "half"])
def test_progress_is_from_0_to_100(command: Command, percent: str) -> None:
    result = command("send", "progress", "123", percent, env=NOBODY)
    assert result.exit_code == 2
    assert f"'PERCENT': '{percent}' is not a number from 0 to 100" in words(result)


@pytest.mark.parametrize(
    "arguments",
    [
        ["progress", "-5", "45", "--message", "-1 of 3"],
        ["complete", "-5", "--title", "-1"],
        ["failed", "-5"],
        ["user", "-7", "-5 minutes", "--level", "error"],
        ["user", "7", "-5"],
        ["all", "- soon"],
        ["admin", "--", "-hello"],
        ["system", "-1"],
    ],
    ids=" ".join,
)
def test_what_looks_like_a_number_or_a_text_is_no_option(command: Command, arguments: list[str]) -> None:
    result = command("send", *arguments, env=NOBODY)
    assert "no router answers at http://127.0.0.1:9" in words(result)


def test_a_user_may_be_called_like_a_negative_number(command: Command) -> None:
    assert claims_of(command("token", "user", "-7", env=NOBODY).stdout.strip())["sub"] == "-7"


@pytest.mark.parametrize("text", ["-hello", "-x"])
def test_of_another_text_with_a_dash_it_is_told_how_to_write_it(command: Command, text: str) -> None:
    result = command("send", "all", text, env=NOBODY)
    assert result.exit_code == 2
    assert f"No such option: '{text}'. What begins with a dash and is none comes after --" in words(result)


def test_a_slip_in_an_option_is_no_text(command: Command) -> None:
    result = command("send", "all", "--jsn", "{}", env=NOBODY)
    assert result.exit_code == 2
    assert "No such option: --jsn (Possible options: --json" in words(result)


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e999", r'"\ud800"', "9" * 5000, "[" * 100_000], ids=range(6))
def test_json_that_cannot_be_sent_is_told_before_it_is(command: Command, value: str) -> None:
    result = command("send", "all", "--json", f'{{"type":"x","n":{value}}}', env=NOBODY)
    assert result.exit_code == 1
    assert words(result).startswith("videosite-realtime: --json is not JSON: ")


@pytest.mark.parametrize("arguments", [["send", "all", "caf\udce9"], ["token", "user", "7", "--username", "\udce9"]])
def test_bytes_that_are_no_text_are_named(command: Command, arguments: list[str]) -> None:
    result = command(*arguments, env=NOBODY)
    assert result.exit_code == 2
    assert f"not text in UTF-8: {arguments[-1]!r}" in words(result)


@pytest.mark.parametrize("key", ["密钥", "a-key\n", "a\udce9"])
@pytest.mark.parametrize("arguments", [["stats"], ["send", "all", "hello"]], ids=" ".join)
def test_a_key_that_no_header_can_bear_is_told_and_not_shown(command: Command, key: str, arguments: list[str]) -> None:
    result = command(*arguments, env=NOBODY | {"ROUTER_API_KEY": key})
    assert result.exit_code == 1
    assert "ROUTER_API_KEY or --api-key holds what no header can bear" in words(result)
    assert key not in result.output


def test_an_interval_without_end_is_refused(command: Command) -> None:
    assert command("stats", "--watch", "--interval", "inf", env=NOBODY).exit_code == 2


def test_a_token_lasts_a_hundred_years_at_most(command: Command) -> None:
    assert command("token", "user", "7", "--expires", "36500d", env=NOBODY).exit_code == 0
    result = command("token", "user", "7", "--expires", "36501d", env=NOBODY)
    assert "'36501d' is too long: 36500d at most" in words(result)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rate", "inf"], "--rate has no end"),
        (["--return-time", "inf"], "--return-time has no end"),
        (["--redis-memory", "inf", "--json-output"], "--redis-memory has no end"),
        (["--rate", "1e308", "--updates", "1e308"], "the numbers are too large"),
    ],
)
def test_a_plan_with_numbers_beyond_reckoning_is_refused(command: Command, arguments: list[str], told: str) -> None:
    result = command("plan", "--users", "10", *arguments)
    assert result.exit_code == 1
    assert told in words(result)
