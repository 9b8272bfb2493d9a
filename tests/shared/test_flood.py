"""A flood of one kind of line is cut to a trickle that tells how much was left out."""

from __future__ import annotations

from shared.flood import FloodGuard


def passed(guard: FloodGuard, kind: object, count: int, now: float) -> int:
    return sum(guard.admit(kind, line, now) is None for line in range(count))


def test_the_first_lines_of_a_window_pass() -> None:
    guard = FloodGuard(burst=3, seconds=10)
    assert passed(guard, "a", 5, now=0) == 3
    assert passed(guard, "a", 5, now=9.9) == 0


def test_kinds_do_not_take_each_others_room() -> None:
    guard = FloodGuard(burst=3, seconds=10)
    assert passed(guard, "a", 100, now=0) == 3
    assert passed(guard, "b", 2, now=0) == 2


def test_a_window_tells_its_last_line_and_how_many_before_it_were_left_out() -> None:
    guard = FloodGuard(burst=1, seconds=10)
    windows = [guard.admit("a", line, 0.0) for line in range(5)]
    assert windows[0] is None
    assert guard.untold() == [windows[1]]
    assert guard.over(windows[1], 10.0) == (4, 3)  # type: ignore[arg-type]
    assert guard.untold() == []


def test_while_the_flood_goes_on_only_what_a_window_tells_is_written() -> None:
    guard = FloodGuard(burst=3, seconds=10)
    told = []
    window = None
    for second in range(60):
        if window is not None and second >= window.ends_at:
            told.append(guard.over(window, second))
        for line in range(1000):
            window = guard.admit("a", line, second) or window
    assert told == [(999, 10 * 1000 - 3 - 1), *[(999, 10 * 1000 - 1)] * 4]


def test_after_a_quiet_window_the_burst_is_back() -> None:
    guard = FloodGuard(burst=3, seconds=10)
    passed(guard, "a", 5, now=0)
    guard.over(guard.untold()[0], 10.0)
    assert passed(guard, "a", 5, now=20.0) == 3


def test_strangers_without_end_cost_a_bounded_number_of_windows() -> None:
    guard = FloodGuard(burst=1, seconds=10)
    assert sum(passed(guard, number, 1, now=0) for number in range(10_000)) == 501
    assert passed(guard, "new", 1, now=11.0) == 1, "windows that are over make room"
