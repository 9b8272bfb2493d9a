"""The newest frames of a shared stream: what is kept is kept whole, and found by position."""

from __future__ import annotations

import pytest

from node import tail as tail_module
from node.tail import Tail
from shared.ids import Position

NOW = 1_000_000.0


def kept(first: int, last: int, *, epoch: int = 5) -> Tail:
    tail = Tail()
    for n in range(first, last + 1):
        tail.append(Position(epoch, n), b"frame %d" % n, None)
    return tail


def test_frames_after_a_position_come_in_order_and_lead_to_the_last_of_them() -> None:
    tail = kept(3, 9)
    assert tail.after(Position(5, 4), 2, NOW) == (
        [(Position(5, 5), b"frame 5"), (Position(5, 6), b"frame 6")],
        Position(5, 6),
    )
    assert tail.after(Position(5, 8), 10, NOW) == ([(Position(5, 9), b"frame 9")], Position(5, 9))
    assert tail.after(Position(5, 9), 10, NOW) == ([], Position(5, 9))


@pytest.mark.parametrize("position", [Position(5, 2), Position(5, 10), Position(4, 5), Position(6, 5)])
def test_a_position_that_is_not_kept_leads_nowhere(position: Position) -> None:
    tail = kept(3, 9)
    assert position not in tail
    assert tail.after(position, 10, NOW) is None


def test_what_is_over_is_left_out_and_passed() -> None:
    tail = kept(1, 1)
    tail.append(Position(5, 2), b"over", int(NOW) - 1)
    tail.append(Position(5, 3), b"not over", int(NOW) + 1)
    tail.append(Position(5, 4), b"over", int(NOW))
    assert tail.after(Position(5, 1), 10, NOW) == ([(Position(5, 3), b"not over")], Position(5, 4))


@pytest.mark.parametrize(("events_max", "bytes_max"), [(20, 10**6), (10**6, 200)])
def test_it_is_bounded_and_keeps_the_newest(monkeypatch: pytest.MonkeyPatch, events_max: int, bytes_max: int) -> None:
    monkeypatch.setattr(tail_module, "_EVENTS_MAX", events_max)
    monkeypatch.setattr(tail_module, "_BYTES_MAX", bytes_max)
    tail = kept(1, 1000)
    count = sum(Position(5, n) in tail for n in range(1, 1001))
    assert 5 <= count <= 25
    assert all(Position(5, n) in tail for n in range(1001 - count, 1001))
    tail.clear()
    assert tail.newest is None
    assert Position(5, 1000) not in tail
