"""The four counters of the cluster."""

from __future__ import annotations

import pytest

from shared.deaths import Deaths
from shared.stats import ClusterStats, Counters


def test_browsers_see_four_counters_of_which_the_last_is_a_sum() -> None:
    assert Counters(users=50, user_connections=65, admin_connections=5).as_json() == {
        "total_users": 50,
        "total_user_connections": 65,
        "total_admin_connections": 5,
        "total_connections": 70,
    }


def test_sums_are_read_as_they_were_written() -> None:
    stats = ClusterStats(1760092200123, Counters(50, 65, 5), Deaths(3, 1, 200, 7))
    assert ClusterStats.load(stats.dump()) == stats


def test_before_anybody_summed_up_all_counters_are_zero() -> None:
    assert ClusterStats.load(None) == ClusterStats(0, Counters(0, 0, 0))


def test_a_later_version_may_add_counters_and_an_earlier_one_tells_of_no_deaths() -> None:
    assert ClusterStats.load(b"[1,5,1,2,3,4,5,6,7,99]") == ClusterStats(5, Counters(1, 2, 3), Deaths(4, 5, 6, 7))
    assert ClusterStats.load(b"[1,5,1,2,3]") == ClusterStats(5, Counters(1, 2, 3), None)


@pytest.mark.parametrize("raw", [b"garbage", b"{}", b'[2,{"at":5}]', b"[1,5,null,2,3]"])
def test_what_cannot_be_read_counts_as_none(raw: bytes) -> None:
    assert ClusterStats.load(raw) == ClusterStats()
