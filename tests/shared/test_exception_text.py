"""An exception in a log tells where it came from, and not what it was given."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import BaseModel, ConfigDict

from shared.errors import InvalidMessage
from shared.exception_text import exception_text


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int


def caught(work: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as raised:  # noqa: PT011
        work()
    return raised.value


def leading_to() -> None:
    try:
        Order(number="canary-payload", canary_field=1)  # type: ignore[arg-type, call-arg]
    except ValueError as exc:
        raise InvalidMessage("number", "wrong") from exc


def test_it_tells_the_frames_the_kind_and_the_message() -> None:
    text = exception_text(caught(lambda: int("x")))
    assert "test_exception_text.py" in text
    assert text.endswith("ValueError: invalid literal for int() with base 10: 'x'")


def test_what_led_to_it_comes_first() -> None:
    text = exception_text(caught(leading_to))
    first, last = text.split("which led to")
    assert "ValidationError: Order: int_parsing, extra_forbidden" in first
    assert last.endswith("InvalidMessage: number: wrong")


def test_refused_input_and_the_names_of_its_fields_are_left_out() -> None:
    text = exception_text(caught(leading_to))
    assert "canary" not in text.replace('Order(number="canary-payload", canary_field=1)', "")  # the source's own line


def test_a_group_shows_its_parts() -> None:
    group = ExceptionGroup("several", [ValueError("one"), KeyError("two")])
    text = exception_text(group)
    assert "ValueError: one" in text
    assert "KeyError: 'two'" in text


def test_a_circle_of_causes_ends() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert exception_text(one).count("ValueError") == 2


def test_a_message_without_end_is_cut_and_one_that_fails_is_survived() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert len(exception_text(ValueError("x" * 10_000))) < 600
    assert exception_text(Broken()).endswith("Broken: (cannot be shown: RuntimeError)")
