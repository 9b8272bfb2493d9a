"""The newest value per video."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from node.state_table import StateTable
from shared.ids import BEGINNING, Position

LATER, NOW = 2e9, 50.0


def frames_after(table: StateTable, revision: Position, now: float) -> list[bytes]:
    return [frame for _, frame in table.after(revision, now)]


def test_a_newer_value_replaces_an_older_one_and_never_the_reverse() -> None:
    table = StateTable()
    assert table.put(1, Position(1, 2), b"two", LATER)
    assert not table.put(1, Position(1, 1), b"one", LATER)
    assert not table.put(1, Position(1, 2), b"again", LATER)
    assert table.put(1, Position(2, 1), b"a new epoch", LATER)
    assert frames_after(table, BEGINNING, NOW) == [b"a new epoch"]
    assert table.top == Position(2, 1)


def test_what_changed_since_comes_oldest_change_first() -> None:
    table = StateTable()
    for video, n in ((1, 1), (2, 2), (3, 3), (1, 4)):
        table.put(video, Position(1, n), b"%d" % n, LATER)
    assert frames_after(table, Position(1, 2), NOW) == [b"3", b"4"]
    assert frames_after(table, table.top, NOW) == []


def test_an_end_is_remembered_and_not_shown() -> None:
    table = StateTable()
    table.put(1, Position(1, 1), b"99 %", LATER)
    table.put(1, Position(1, 3), None, LATER)
    assert not table.put(1, Position(1, 2), b"a straggler", LATER)
    assert frames_after(table, BEGINNING, NOW) == []
    assert len(table) == 0
    assert table.put(1, Position(1, 4), b"a new start", LATER)
    assert len(table) == 1


def test_what_has_had_no_news_is_forgotten_but_not_how_far_the_table_was() -> None:
    table = StateTable()
    table.put(1, Position(1, 1), b"old", 100.0)
    table.put(2, Position(1, 2), b"young", 200.0)
    table.expire(100.0)
    assert frames_after(table, BEGINNING, NOW) == [b"young"]
    table.expire(300.0)
    assert len(table) == 0
    assert table.top == Position(1, 2)


def test_what_is_over_is_not_shown_even_before_it_is_forgotten() -> None:
    table = StateTable()
    table.put(1, Position(1, 1), b"over", 100.0)
    table.put(2, Position(1, 2), b"young", 200.0)
    assert frames_after(table, BEGINNING, 150.0) == [b"young"]


PUTS = st.lists(
    st.tuples(st.integers(1, 4), st.builds(Position, st.integers(1, 3), st.integers(0, 9)), st.booleans()), max_size=30
)


@given(PUTS, st.builds(Position, st.integers(0, 3), st.integers(0, 9)))
def test_the_table_is_what_a_sorted_list_would_be(puts: list[tuple[int, Position, bool]], since: Position) -> None:
    table, newest = StateTable(), dict[int, tuple[Position, bytes | None]]()
    for video, revision, active in puts:
        frame = b"%d:%s" % (video, str(revision).encode()) if active else None
        taken = table.put(video, revision, frame, LATER)
        assert taken == (video not in newest or revision > newest[video][0])
        if taken:
            newest[video] = (revision, frame)
    expected = sorted(
        (revision, frame) for revision, frame in newest.values() if frame is not None and revision > since
    )
    assert table.after(since, NOW) == expected
    assert table.top == max((revision for revision, _ in newest.values()), default=BEGINNING)


@given(data=st.data(), videos=st.integers(1, 3), count=st.integers(1, 12))
def test_a_table_that_hears_revisions_in_any_order_shows_only_what_is_newer_and_ends_with_the_newest(
    data: Any, videos: int, count: int
) -> None:
    """What one revision may meet on its way to a client: overtaking, repetition, a read of the table in between."""
    history = [(data.draw(st.integers(1, videos)), Position(1, n)) for n in range(1, count + 1)]
    arriving = data.draw(st.permutations(history + data.draw(st.lists(st.sampled_from(history), max_size=5))))
    table, shown = StateTable(), dict[int, list[int]]()
    for video, revision in arriving:
        if table.put(video, revision, b"%d" % revision.n, LATER):
            shown.setdefault(video, []).append(revision.n)
    for video, seen in shown.items():
        assert seen == sorted(set(seen))
        assert seen[-1] == max(revision.n for of, revision in history if of == video)
    assert frames_after(table, BEGINNING, NOW) == [b"%d" % n for n in sorted(seen[-1] for seen in shown.values())]
