"""The checker: what it calls lost, doubled, swapped, and what it lets pass."""

from __future__ import annotations

import pytest

from loadtests.swarm.streams import Flaw, Streams, Tops, number_of, stream_of

START = "u.Nw.100-5,all.100-20"


def welcomed(cursor: str = START) -> Streams:
    streams = Streams()
    assert streams.welcome(cursor, None) is None
    return streams


def take(streams: Streams, *ids: str) -> list[Flaw | None]:
    return [streams.take(each, stream_of(each), number_of(each)) for each in ids]


def test_what_comes_in_order_is_good_whatever_the_epoch():
    streams = welcomed()
    assert take(streams, "u.Nw.100-6", "all.100-21", "u.Nw.200-7") == [None] * 3
    assert streams.missing() == {}
    assert streams.since == "u.Nw.200-7,all.100-21"


def test_a_gap_is_lost_to_the_message():
    streams = welcomed()
    assert take(streams, "all.100-21", "all.100-25") == [None, None]
    assert streams.missing() == {"all": 3}


def test_what_comes_after_a_later_one_is_swapped_and_not_lost():
    streams = welcomed()
    assert take(streams, "u.Nw.100-7", "u.Nw.100-6", "u.Nw.100-8") == [None, Flaw.SWAPPED, None]
    assert streams.missing() == {}


@pytest.mark.parametrize("again", ["u.Nw.100-6", "u.Nw.100-5", "u.Nw.100-1"])
def test_what_was_there_before_is_doubled(again):
    assert take(welcomed(), "u.Nw.100-6", again) == [None, Flaw.DOUBLED]


def test_a_swapped_one_that_comes_twice_is_doubled():
    assert take(welcomed(), "u.Nw.100-7", "u.Nw.100-6", "u.Nw.100-6")[1:] == [Flaw.SWAPPED, Flaw.DOUBLED]


def test_what_belongs_to_somebody_else_is_strange():
    assert take(welcomed(), "admin.100-1", "u.OA.100-6") == [Flaw.STRANGE, Flaw.STRANGE]


def test_a_loss_with_nothing_after_it_shows_against_the_tops():
    streams = welcomed()
    take(streams, "all.100-21", "all.100-23")
    assert streams.missing({"all": 25, "u.Nw": 5, "admin": 9}) == {"all": 1 + 2}


def test_who_comes_back_must_be_where_it_was():
    streams = welcomed()
    take(streams, "all.100-21")
    assert streams.welcome("all.100-21,u.Nw.100-5", True) is None
    assert take(streams, "all.100-22") == [None]


def test_recovered_at_another_place_is_misplaced():
    streams = welcomed()
    assert streams.welcome("u.Nw.100-5,all.100-22", True) is Flaw.MISPLACED
    assert streams.since == "u.Nw.100-5,all.100-22"


@pytest.mark.parametrize("recovered", [False, None])
def test_who_comes_back_and_is_not_recovered_has_lost_events(recovered):
    streams = welcomed()
    assert streams.welcome("u.Nw.100-9,all.100-30", recovered) is Flaw.FORGOTTEN
    assert take(streams, "all.100-31") == [None]
    assert streams.missing() == {}  # told of it once is enough


def test_the_tops_of_several_processes_are_those_of_the_furthest():
    mine, theirs, together = Tops(), Tops(), Tops()
    mine.answered(["all.1-5", "u.Nw.1-2", "all.1-4"])
    theirs.answered(["all.1-7"])
    mine.moved(1, 40)
    mine.moved(2, 90)
    mine.moved(2, None)
    theirs.moved(3, 10)
    together.merge(mine.packed())
    together.merge(theirs.packed())
    assert together.streams == {"all": 7, "u.Nw": 2}
    assert together.progress == {1: 40, 3: 10}
