"""A schedule is a function of its seed and its length, and holds what it promises."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import pytest

from tests.faults.schedule import KINDS, SHORTEST, WAYS, Fault, make_schedule

SEEDS = range(200)


def test_a_seed_brings_its_schedule_back() -> None:
    for seed in SEEDS:
        assert make_schedule(seed, 300) == make_schedule(seed, 300)


def test_another_seed_is_another_schedule() -> None:
    assert len({make_schedule(seed, 120) for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("seconds", [SHORTEST, 300])
def test_every_kind_of_fault_comes_up_and_lasts(seconds: float) -> None:
    for seed in SEEDS:
        longest = {kind.name: 0.0 for kind in KINDS}
        for fault in make_schedule(seed, seconds):
            longest[fault.kind.name] = max(longest[fault.kind.name], fault.lasts)
        assert all(longest[kind.name] >= kind.lasts[0] for kind in KINDS), (seed, longest)


def test_faults_hit_the_parts_they_are_meant_for_and_are_over_in_time() -> None:
    for seed in SEEDS:
        for fault in make_schedule(seed, 120):
            assert fault.part in fault.kind.parts
            assert 0 <= fault.at <= fault.ends <= 120
            assert fault.lasts <= fault.kind.lasts[1]


def test_no_part_is_hit_by_two_faults_at_a_time_while_different_parts_are() -> None:
    for seed in SEEDS:
        by_part: dict[str, list[Fault]] = defaultdict(list)
        schedule = make_schedule(seed, 300)
        for fault in schedule:
            by_part[fault.part].append(fault)
        for faults in by_part.values():
            assert all(one.ends <= other.at for one, other in pairwise(faults)), seed
        assert any(one.ends > other.at for one, other in pairwise(schedule)), seed


def test_every_way_between_two_parts_is_cut_some_time() -> None:
    assert {fault.part for fault in make_schedule(1, 3000)} >= set(WAYS)


def test_a_time_too_short_for_every_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        make_schedule(1, SHORTEST - 1)
