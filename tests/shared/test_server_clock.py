"""Redis's clock as a process knows it: the quickest answer counts, a contradiction starts anew."""

from __future__ import annotations

import time

import pytest

from shared.server_clock import ServerClock

AHEAD = 5_000_000_000  # µs by which the server's clock is ahead of the monotonic one


def ask(clock: ServerClock, *, at: float, took: float, lies: float = 0.0, ahead: float = AHEAD) -> None:
    """Have a clock take an answer; ``lies``: when it was given, -1 as soon as it was asked for, 1 at the end."""
    given_at = at + took / 2 + lies * took / 2
    clock.take(int(given_at * 1e6 + ahead), at, at + took)


def test_until_it_was_asked_the_hosts_own_clock_counts() -> None:
    assert abs(ServerClock().now_us() - time.time() * 1e6) < 1e6


def test_the_quickest_of_the_last_answers_counts() -> None:
    clock = ServerClock()
    ask(clock, at=10, took=0.080, lies=1)  # the loop was busy: right within 40 ms
    assert clock.offset_us == pytest.approx(AHEAD + 40_000)
    ask(clock, at=12, took=0.0002)
    for second in range(14, 24, 2):
        ask(clock, at=second, took=0.050, lies=-1)
    assert clock.offset_us == pytest.approx(AHEAD, abs=1)


def test_an_answer_is_forgotten_after_a_while() -> None:
    clock = ServerClock()
    ask(clock, at=10, took=0.0002)
    for second in range(12, 28, 2):
        ask(clock, at=second, took=0.010, lies=0.5)
    assert clock.offset_us == pytest.approx(AHEAD + 2500, abs=1)


def test_a_clock_that_was_set_is_believed_at_once() -> None:
    clock = ServerClock()
    for second in range(10, 20, 2):
        ask(clock, at=second, took=0.0002)
    ask(clock, at=20, took=0.010, ahead=AHEAD + 3_600_000_000)
    assert clock.offset_us == pytest.approx(AHEAD + 3_600_000_000, abs=1)


def test_it_tells_by_how_much_it_is_ahead_of_the_host() -> None:
    clock = ServerClock()
    clock.offset_us += 7e6
    assert clock.ahead_of_ours == pytest.approx(7, abs=1)
