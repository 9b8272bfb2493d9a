"""Deaths of nodes, as a process has seen them."""

from __future__ import annotations

from shared.deaths import Deaths, DeathsSeen


def seen(*told: Deaths | None) -> Deaths:
    deaths = DeathsSeen()
    for each in told:
        deaths.take(each)
    return deaths.total


def test_what_was_before_a_process_is_none_of_its_counts() -> None:
    assert seen(Deaths(5, 2, 50, 20)) == Deaths()


def test_what_rises_is_counted_once_however_often_it_is_told() -> None:
    assert seen(Deaths(), Deaths(1, 0, 40, 0), Deaths(1, 0, 40, 0), Deaths(1, 1, 40, 7)) == Deaths(1, 1, 40, 7)


def test_a_server_that_forgot_takes_nothing_back_and_adds_nothing() -> None:
    assert seen(Deaths(5), Deaths(6), Deaths(5), Deaths(), Deaths(1)) == Deaths(2)


def test_a_caretaker_of_a_version_that_tells_nothing_changes_nothing() -> None:
    assert seen(Deaths(5), None, Deaths(6)) == Deaths(1)


def test_nodes_and_their_connections_are_told_by_the_same_states() -> None:
    assert Deaths(1, 2, 3, 4).nodes == {"up": 1, "draining": 2}
    assert Deaths(1, 2, 3, 4).connections == {"up": 3, "draining": 4}
