"""How many commands a user may send."""

from __future__ import annotations

from node.limits import CommandLimiter


def test_so_many_commands_pass_in_a_second_and_not_one_more() -> None:
    limiter = CommandLimiter(3)
    assert [limiter.allow("7", 10.0 + i / 10) for i in range(5)] == [True, True, True, False, False]


def test_the_next_second_begins_anew() -> None:
    limiter = CommandLimiter(1)
    assert [limiter.allow("7", now) for now in (10.0, 10.9, 11.0, 11.5, 12.0)] == [True, False, True, False, True]


def test_users_are_counted_apart() -> None:
    limiter = CommandLimiter(1)
    assert [limiter.allow(user, 10.0) for user in ("7", "8", "7", "8")] == [True, True, False, False]
