"""What a deadline of the tests counts: the time in which the machine ran."""

from __future__ import annotations

import asyncio

import pytest

from tests.support import waiting
from tests.support.clock import Clock, clock_of
from tests.support.waiting import Patience, until

HOUR = 3600.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return clock_of(waiting, monkeypatch)


def test_of_a_pause_of_the_machine_a_moment_counts(clock: Clock) -> None:
    patience = Patience(1)
    clock.forward(HOUR)
    assert not patience.is_over()
    for _ in range(4):
        clock.forward(0.25)
        over = patience.is_over()
    assert over


async def test_who_was_paused_is_looked_at_once_more(clock: Clock) -> None:
    looks = []

    def look() -> bool:
        looks.append(clock.monotonic())
        clock.forward(HOUR)
        return len(looks) == 3

    assert await until(look, timeout=0.5)


async def test_what_never_becomes_true_is_told_with_what_was_seen_last() -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.1 s; last seen: 0"):
        await until(lambda: 0, timeout=0.1)


async def test_an_event_that_is_never_set_is_not_waited_for_any_longer() -> None:
    with pytest.raises(TimeoutError):
        await Patience(0.3).wait(asyncio.Event())
