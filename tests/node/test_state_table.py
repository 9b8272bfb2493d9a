"""The newest value per video."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from node.state_table import StateTable
from shared.ids import Position

LATER, NOW = 2e9, 50.0


def frames_after(table: StateTable, change: int, now: float) -> list[bytes]:
    return [frame for _, frame in table.after(change, now)]


def test_a_newer_value_replaces_an_older_one_and_never_the_reverse() -> None:
    table = StateTable()
    assert table.put(1, Position(1, 2), b"two", LATER)
    assert not table.put(1, Position(1, 1), b"one", LATER)
    assert not table.put(1, Position(1, 2), b"again", LATER)
    assert table.put(1, Position(2, 1), b"a new epoch", LATER)
    assert frames_after(table, 0, NOW) == [b"a new epoch"]
    assert table.changes == 2


def test_what_changed_since_comes_oldest_change_first() -> None:
    table = StateTable()
    for video, n in ((1, 1), (2, 2), (3, 3), (1, 4)):
        table.put(video, Position(1, n), b"%d" % n, LATER)
    assert frames_after(table, 2, NOW) == [b"3", b"4"]
    assert frames_after(table, table.changes, NOW) == []


def test_an_end_is_remembered_and_not_shown() -> None:
    table = StateTable()
    table.put(1, Position(1, 1), b"99 %", LATER)
    table.put(1, Position(1, 3), None, LATER)
    assert not table.put(1, Position(1, 2), b"a straggler", LATER)
    assert frames_after(table, 0, NOW) == []
    assert len(table) == 0
    assert table.put(1, Position(1, 4), b"a new start", LATER)
    assert len(table) == 1


def test_what_has_had_no_news_is_forgotten_but_not_how_far_the_table_was() -> None:
    table = StateTable()
    table.put(1, Position(1, 1), b"old", 100.0)
    table.put(2, Position(1, 2), b"young", 200.0)
    table.expire(100.0)
    assert frames_after(table, 0, NOW) == [b"young"]
    table.expire(300.0)
    assert len(table) == 0
    assert table.changes == 2


def test_what_is_over_is_not_shown_even_before_it_is_forgotten() -> None:
    table = StateTable()
    table.put(1, Position(1, 1), b"over", 100.0)
    table.put(2, Position(1, 2), b"young", 200.0)
    assert frames_after(table, 0, 150.0) == [b"young"]


PUTS = st.lists(
    st.tuples(st.integers(1, 4), st.builds(Position, st.integers(1, 3), st.integers(0, 9)), st.booleans()), max_size=30
)


@given(PUTS, st.integers(0, 10))
def test_the_table_is_what_a_list_of_what_it_took_would_be(puts: list[tuple[int, Position, bool]], since: int) -> None:
    table, newest, taken_so_far = StateTable(), dict[int, tuple[Position, int, bytes | None]](), 0
    for video, revision, active in puts:
        frame = b"%d:%s" % (video, str(revision).encode()) if active else None
        taken = table.put(video, revision, frame, LATER)
        assert taken == (video not in newest or revision > newest[video][0])
        if taken:
            taken_so_far += 1
            newest[video] = (revision, taken_so_far, frame)
    changes = ((change, frame) for _, change, frame in newest.values() if frame is not None)
    assert table.after(since, NOW) == sorted(found for found in changes if found[0] > since)
    assert table.changes == taken_so_far


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
    assert sorted(map(int, frames_after(table, 0, NOW))) == sorted(seen[-1] for seen in shown.values())
