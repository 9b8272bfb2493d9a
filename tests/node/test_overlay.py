"""The cluster's counters with what changed here since they were summed up."""

from __future__ import annotations

from node.overlay import Overlay
from shared.stats import ClusterStats, Counters


def test_a_connection_just_made_is_counted_before_anybody_summed_it_up() -> None:
    assert Overlay().show(ClusterStats(1000, Counters(5, 10, 2)), Counters(0, 1, 0)) == Counters(5, 11, 2)


def test_what_the_sums_contain_is_not_counted_twice() -> None:
    overlay = Overlay()
    overlay.wrote_counts(900, 3, 1)
    assert overlay.show(ClusterStats(1000, Counters(5, 10, 2)), Counters(0, 3, 1)) == Counters(5, 10, 2)
    assert overlay.show(ClusterStats(1000, Counters(5, 10, 2)), Counters(0, 4, 1)) == Counters(5, 11, 2)
    assert overlay.show(ClusterStats(1000, Counters(5, 10, 2)), Counters(0, 1, 0)) == Counters(5, 8, 1)


def test_what_was_written_after_the_sums_is_added_to_them() -> None:
    overlay = Overlay()
    overlay.wrote_counts(900, 3, 0)
    overlay.wrote_counts(1100, 5, 0)
    assert overlay.show(ClusterStats(1000, Counters(5, 10, 0)), Counters(0, 5, 0)) == Counters(5, 12, 0)
    assert overlay.show(ClusterStats(1200, Counters(5, 12, 0)), Counters(0, 5, 0)) == Counters(5, 12, 0)


def test_users_who_came_or_went_after_the_sums_are_counted() -> None:
    overlay = Overlay()
    overlay.users_changed(900, 1)
    overlay.users_changed(1100, 1)
    overlay.users_changed(1150, -1)
    overlay.users_changed(1200, 1)
    assert overlay.show(ClusterStats(1000, Counters(5, 9, 0)), Counters(0, 0, 0)).users == 6
    assert overlay.show(ClusterStats(1200, Counters(6, 9, 0)), Counters(0, 0, 0)).users == 6


def test_under_a_new_node_id_no_sum_contains_anything_of_ours() -> None:
    overlay = Overlay()
    overlay.wrote_counts(900, 3, 1)
    overlay.users_changed(1100, 1)
    overlay.forget()
    assert overlay.show(ClusterStats(1000, Counters(5, 10, 2)), Counters(0, 3, 1)) == Counters(5, 13, 3)


def test_nobody_who_is_here_is_missing() -> None:
    assert Overlay().show(ClusterStats(1000, Counters(0, 0, 0)), Counters(2, 3, 1)) == Counters(2, 3, 1)


def test_no_counter_is_ever_below_what_is_here() -> None:
    overlay = Overlay()
    overlay.wrote_counts(900, 100, 100)
    overlay.users_changed(1100, -3)
    assert overlay.show(ClusterStats(1000, Counters(1, 0, 0)), Counters(0, 2, 1)) == Counters(0, 2, 1)


def test_there_are_never_more_users_than_connections() -> None:
    overlay = Overlay()
    overlay.users_changed(1100, 1)
    assert overlay.show(ClusterStats(1000, Counters(1, 1, 0)), Counters(1, 1, 0)) == Counters(2, 2, 0)
    overlay.wrote_counts(900, 1, 0)
    assert overlay.show(ClusterStats(1000, Counters(1, 1, 0)), Counters(1, 1, 0)) == Counters(1, 1, 0)
