"""docs/logging.md lists the events that the code can log, with their levels and fields."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.log_formats import _NOT_FIELDS
from tests.support.logged import OF_ANY_LINE, OF_EVERY_LINE, SCHEMA, documented

ROOT = Path(__file__).resolve().parents[2]
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "critical": "critical"}
LEVELS |= {"exception": "error"}
OURS = [path for part in ("node", "router", "shared") for path in sorted((ROOT / part).glob("*.py"))]
PASSED_ON = {"a line was lost": "error"}  # made without a logger: the one that failed would be asked again


@dataclass(frozen=True)
class Call:
    """A logger's call."""

    where: str
    service: str
    level: str
    event: str | None
    fields: frozenset[str]
    has_exception: bool


def calls() -> Iterator[Call]:
    for path in OURS:
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    if isinstance(node, ast.Call) and is_logging(node):
                        yield read(path, node, function)


def is_logging(node: ast.Call) -> bool:
    of = node.func
    return (
        isinstance(of, ast.Attribute)
        and isinstance(of.value, ast.Name)
        and of.value.id == "logger"
        and of.attr in LEVELS
    )


def read(path: Path, node: ast.Call, function: ast.AST) -> Call:
    assert isinstance(node.func, ast.Attribute)
    first = node.args[0]
    extra = next((keyword.value for keyword in node.keywords if keyword.arg == "extra"), None)
    return Call(
        f"{path.relative_to(ROOT)}:{node.lineno}",
        path.parent.name,
        LEVELS[node.func.attr],
        first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None,
        frozenset(keys_of(extra, function)),
        node.func.attr == "exception" or any(keyword.arg == "exc_info" for keyword in node.keywords),
    )


def keys_of(extra: ast.expr | None, function: ast.AST) -> Iterator[str]:
    """Yield the constant names in a dictionary, and in those that it takes over from the same function."""
    if isinstance(extra, ast.Name):
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == extra.id:
                yield from keys_of(node.value, function)
    elif isinstance(extra, ast.Dict):
        for key, value in zip(extra.keys, extra.values, strict=True):
            if key is None:
                yield from keys_of(value, function)
            elif isinstance(key, ast.Constant):
                yield str(key.value)


CALLS = list(calls())
EVENTS = documented()


def test_there_are_events_to_look_at() -> None:
    assert len(CALLS) > 50
    assert len(EVENTS) > 50


def test_an_event_is_constant_words_without_arguments() -> None:
    assert [call.where for call in CALLS if call.event is None or "%" in call.event] == []


def test_every_event_is_documented_and_no_other() -> None:
    logged = {call.event for call in CALLS} | PASSED_ON.keys()
    assert logged == EVENTS.keys()


@pytest.mark.parametrize("name", EVENTS)
def test_an_events_level_and_service_are_the_documented_ones(name: str) -> None:
    event = EVENTS[name]
    levels = {call.level for call in CALLS if call.event == name} or {PASSED_ON[name]}
    assert levels == event.levels
    services = {call.service for call in CALLS if call.event == name} or {"shared"}
    assert services == {"both": {"shared"}}.get(event.service, {event.service})


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.where)
def test_an_events_fields_are_documented(call: Call) -> None:
    event = EVENTS[call.event or ""]
    assert call.fields - OF_ANY_LINE <= event.fields
    assert ("exception" in event.fields) == call.has_exception


@pytest.mark.parametrize("name", EVENTS)
def test_no_field_has_a_name_that_is_taken(name: str) -> None:
    assert not EVENTS[name].fields & (OF_EVERY_LINE | _NOT_FIELDS | OF_ANY_LINE - {"exception", "trace_id"})


def test_the_pages_examples_are_lines_as_they_are_written() -> None:
    page = (ROOT / "docs" / "logging.md").read_text()
    examples = [json.loads(block.partition("\n```")[0]) for block in page.split("```json\n")[1:]]
    assert len(examples) == 2
    for line in examples:
        assert line.keys() >= OF_EVERY_LINE
        assert line.keys() - OF_EVERY_LINE - OF_ANY_LINE <= EVENTS[line["event"]].fields


def test_the_schema_of_the_audit_wants_what_every_event_has() -> None:
    schema = json.loads(SCHEMA.read_text())
    assert schema["required"] == ["action", "outcome", "status"]
    assert all(field["description"] for field in schema["properties"].values())
