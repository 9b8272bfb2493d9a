"""The ledger notices every kind of wrong: a verdict that cannot fall the other way would be none."""

from __future__ import annotations

import pytest

from tests.faults.ledger import Heard, Ledger, Mark, Sent, Shown, Tally, backward_steps

STREAM = "u.Nw"


def event_id(n: int, stream: str = STREAM, epoch: int = 100) -> str:
    return f"{stream}.{epoch}-{n}"


def sent(n: int, stream: str = STREAM) -> Sent:
    return Sent(Mark("p", n), (event_id(n, stream),), at=float(n))


def heard(n: int, *, as_n: int | None = None, late: float = 0.0) -> Heard:
    """Return event n as it was heard, under the id of ``as_n`` if that is another."""
    return Heard(event_id(n if as_n is None else as_n), Mark("p", n), at=n + late)


def judge(was_heard: list[Heard], *, of: int = 5) -> Tally:
    return Ledger(sent(n) for n in range(1, of + 1)).judge(was_heard, (STREAM,))[STREAM]


def all_but(*missing: int) -> list[Heard]:
    return [heard(n) for n in range(1, 6) if n not in missing]


def test_everything_once_and_in_order_is_flawless() -> None:
    tally = judge(all_but())
    assert tally.flawless
    assert (tally.sent, tally.received) == (5, 5)


@pytest.mark.parametrize("n", [1, 3, 5])
def test_a_lost_event_is_noticed(n: int) -> None:
    tally = judge(all_but(n))
    assert (tally.lost, tally.received, tally.flawless) == ([event_id(n)], 4, False)


def test_a_client_that_heard_nothing_has_lost_everything() -> None:
    assert len(judge([]).lost) == 5


def test_an_event_that_was_skipped_is_noticed_though_nobody_was_told_202() -> None:
    ledger = Ledger(sent(n) for n in (1, 2, 4))
    tally = ledger.judge([heard(1), heard(2), heard(4)], (STREAM,))[STREAM]
    assert tally.lost == ["number 3"]


def test_an_event_that_was_not_answered_may_come() -> None:
    ledger = Ledger(sent(n) for n in (1, 2, 4))
    assert ledger.judge([heard(n) for n in range(1, 5)], (STREAM,))[STREAM].flawless


@pytest.mark.parametrize("place", [1, 3, 5])
def test_an_event_that_comes_twice_is_noticed(place: int) -> None:
    doubled = all_but()
    doubled.insert(place, doubled[0])
    tally = judge(doubled)
    assert (tally.doubled, tally.disordered, tally.received, tally.flawless) == ([event_id(1)], [], 5, False)


def test_an_event_that_comes_again_under_another_id_is_noticed() -> None:
    tally = judge([*all_but(), heard(3, as_n=6)])
    assert tally.doubled == [event_id(6)]


def test_an_id_that_is_issued_again_for_another_event_is_noticed() -> None:
    tally = judge([*all_but(5), heard(5, as_n=4)])
    assert tally.doubled == [event_id(4)]
    assert tally.lost == [event_id(5)]


def test_two_events_that_are_swapped_are_noticed() -> None:
    one, two, *rest = all_but()
    tally = judge([two, one, *rest])
    assert (tally.disordered, tally.lost, tally.doubled) == ([event_id(1)], [], [])


def test_a_number_that_falls_in_a_newer_epoch_is_noticed() -> None:
    again = Heard(event_id(2, epoch=200), Mark("q", 1), at=9.0)
    assert judge([*all_but(), again]).disordered == [again.id]


def test_a_producers_events_that_history_has_in_another_order_are_noticed() -> None:
    swapped = [Sent(Mark("p", 1), (event_id(2),), 1.0), Sent(Mark("p", 2), (event_id(1),), 2.0)]
    was_heard = [heard(2, as_n=1), heard(1, as_n=2)]
    assert Ledger(swapped).judge(was_heard, (STREAM,))[STREAM].disordered == [event_id(2)]


def test_what_a_producer_gave_up_may_come_after_what_it_sent_later() -> None:
    ledger = Ledger([Sent(Mark("p", 2), (event_id(1),), 1.0)])
    assert ledger.judge([heard(2, as_n=1), heard(1, as_n=2)], (STREAM,))[STREAM].flawless


def test_an_event_of_a_stream_that_is_not_the_clients_is_noticed() -> None:
    stranger = Heard(event_id(1, "admin"), Mark("p", 1), at=1.0)
    tallies = Ledger([]).judge([stranger], (STREAM, "all"))
    assert tallies["admin"].strange == [stranger.id]
    assert not tallies["admin"].flawless


def test_each_audience_of_an_event_has_to_hear_it() -> None:
    ledger = Ledger([Sent(Mark("p", 1), (event_id(1, "admin"), event_id(1)), 1.0)])
    assert ledger.judge([heard(1)], (STREAM,))[STREAM].flawless
    assert ledger.judge([heard(1)], (STREAM, "admin"))["admin"].lost == [event_id(1, "admin")]


def test_the_longest_gap_is_from_the_answer_to_the_first_receipt() -> None:
    events = [heard(1, late=-0.5), heard(2, late=3.0), heard(3, late=1.0), heard(4), heard(5), heard(2, late=9.0)]
    assert judge(events).longest_gap == pytest.approx(3.0)


def test_tallies_add_up() -> None:
    total = Tally()
    total.add(judge(all_but(2)))
    total.add(judge([*all_but(), heard(1)]))
    assert (total.sent, total.received, len(total.lost), len(total.doubled)) == (10, 9, 1, 1)


def test_the_newest_number_of_a_stream_is_known() -> None:
    ledger = Ledger([sent(2), sent(7), sent(5)])
    assert (ledger.newest(STREAM), ledger.newest("all")) == (7, 0)


def test_progress_that_rises_and_ends_is_in_order() -> None:
    assert backward_steps([Shown(1, 0), Shown(1, 40), Shown(2, 10), Shown(1, 40), Shown(1, None)]) == []


def test_progress_that_goes_back_is_noticed() -> None:
    assert backward_steps([Shown(1, 40), Shown(2, 10), Shown(1, 39.5), Shown(1, 41)]) == ["video 1: 39.5 after 40"]


def test_progress_after_the_end_is_noticed() -> None:
    assert backward_steps([Shown(1, 40), Shown(1, None), Shown(1, 50)]) == ["video 1: 50 after its end"]
