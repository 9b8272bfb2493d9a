"""One stream of events as a node follows it: every loss is seen by its number."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from docs.node_messages import Resync
from node.feed import Feed, SharedFeed
from shared.ids import Position, parse_event_id
from tests.node.feed_stage import LATER, Stage, seen
from tests.shared.redis_server import until

# --- the bus in order, and out of it


async def test_events_in_order_are_written_as_they_come_with_their_id_appended(stage: Stage) -> None:
    stage.open()
    _, transport = stage.join()
    for _ in range(3):
        stage.publish()
    assert transport.texts == [f'{{"n":{n},"id":"u.Nw.1-{n}"}}' for n in (1, 2, 3)]
    assert stage.feed.top == Position(1, 3)
    assert (stage.history.reads, stage.written, stage.counters.caught_up) == (0, 3, 0)


async def test_one_frame_is_built_for_all(stage: Stage) -> None:
    stage.open()
    transports = [stage.join()[1] for _ in range(3)]
    stage.publish()
    first, *others = (transport.written[-1] for transport in transports)
    assert all(frame is first for frame in others)


async def test_an_event_that_comes_twice_is_written_once(stage: Stage) -> None:
    stage.open()
    _, transport = stage.join()
    one, two = stage.publish(), stage.publish()
    for position in (two, one, two):
        stage.hear(position)
    assert seen(transport) == [1, 2]
    assert (stage.counters.repeated, stage.history.reads) == (3, 0)


async def test_a_gap_is_filled_from_history_in_order(stage: Stage) -> None:
    stage.open()
    _, transport = stage.join()
    stage.publish(heard=False)
    stage.publish(heard=False)
    stage.publish()
    assert seen(transport) == []
    await stage.settled()
    assert seen(transport) == [1, 2, 3]
    assert (stage.counters.repairs, stage.written, stage.counters.caught_up) == ({"gap": 1}, 0, 3)
    assert stage.counters.repair_times.count == 1


async def test_events_that_swap_places_are_set_right(stage: Stage) -> None:
    stage.open()
    _, transport = stage.join()
    first, second, third = (stage.publish(heard=False) for _ in range(3))
    for position in (third, first, second):
        stage.hear(position)
    await stage.settled()
    assert seen(transport) == [1, 2, 3]


async def test_what_comes_while_history_is_read_is_read_too(stage: Stage) -> None:
    stage.open()
    _, transport = stage.join()
    stage.history.gate = asyncio.Event()
    stage.publish(heard=False)
    stage.publish()
    await until(lambda: stage.history.reads == 1)
    stage.publish()
    assert not stage.feed.settled
    stage.history.gate.set()
    await stage.settled()
    assert seen(transport) == [1, 2, 3]
    assert stage.feed.settled


async def test_one_read_is_under_way_however_many_gaps_there_are(stage: Stage) -> None:
    stage.open()
    stage.join()
    stage.history.gate = asyncio.Event()
    for _ in range(10):
        stage.publish(heard=False)
        stage.publish()
    await until(lambda: stage.history.reads)
    for _ in range(5):
        await asyncio.sleep(0)
    assert stage.history.reads == 1
    stage.history.gate.set()
    await stage.settled()


async def test_a_gap_longer_than_a_page_is_filled_page_by_page(stage: Stage) -> None:
    stage.open()
    _, transport = stage.join()
    stage.history.page = 10
    for _ in range(95):
        stage.publish(heard=False)
    stage.publish()
    await stage.settled()
    assert seen(transport) == list(range(1, 97))


async def test_history_is_asked_again_until_it_answers(stage: Stage) -> None:
    stage.open()
    _, transport = stage.join()
    stage.history.away = True
    stage.publish(heard=False)
    stage.publish()
    await until(lambda: stage.history.reads >= 3)
    stage.history.away = False
    await stage.settled()
    assert seen(transport) == [1, 2]


async def test_a_loss_with_nothing_after_it_is_found_by_comparing_tops(stage: Stage) -> None:
    stage.open()
    _, transport = stage.join()
    stage.feed.compare(stage.publish(heard=False))
    await stage.settled()
    assert seen(transport) == [1]


async def test_a_top_that_is_known_or_older_costs_nothing(stage: Stage) -> None:
    stage.open()
    one, two = stage.publish(), stage.publish()
    for top in (one, two):
        stage.feed.compare(top)
    await stage.settled()
    assert stage.history.reads == 0


# --- opening


async def test_what_comes_before_the_feed_is_open_is_read_once_it_is(stage: Stage) -> None:
    top = stage.history.newest
    position = stage.publish()
    assert stage.feed.top is None
    stage.feed.open(top)
    await stage.settled()
    assert stage.feed.top == position


async def test_opening_again_moves_nothing(stage: Stage) -> None:
    stage.open()
    stage.publish()
    stage.feed.open(Position(1, 0))
    assert stage.feed.top == Position(1, 1)


# --- what is lost for good


async def test_what_history_no_longer_has_is_said_to_be_lost(stage: Stage) -> None:
    stage.open()
    _, transport = stage.join()
    for _ in range(5):
        stage.publish(heard=False)
    stage.history.trim(2)
    stage.publish()
    await stage.settled()
    assert seen(transport) == ["resync", 4, 5, 6]
    assert json.loads(transport.texts[0]) == {"type": "resync", "cursor": "u.Nw.1-3"}
    Resync.model_validate_json(transport.texts[0])
    assert stage.counters.resyncs == 1


async def test_an_empty_history_below_a_newer_top_is_a_loss_up_to_the_top(stage: Stage) -> None:
    stage.open()
    _, transport = stage.join()
    for _ in range(5):
        stage.publish(heard=False)
    stage.history.trim(0)
    stage.feed.compare(stage.history.newest)
    await stage.settled()
    assert seen(transport) == ["resync"]
    assert parse_event_id(json.loads(transport.texts[0])["cursor"]) == ("u.Nw", Position(1, 5))
    stage.publish()
    assert seen(transport) == ["resync", 6]


# --- epochs


async def test_a_new_epoch_with_nothing_lost_goes_on_without_a_resync(stage: Stage) -> None:
    stage.open()
    _, transport = stage.join()
    stage.publish()
    stage.history.epoch = 2
    stage.publish()
    await stage.settled()
    assert seen(transport) == [1, 2]
    assert stage.feed.top == Position(2, 2)


async def test_a_new_epoch_before_the_first_event_is_no_loss(stage: Stage) -> None:
    stage.open()
    _, transport = stage.join()
    stage.history.epoch = 2
    stage.feed.compare(stage.history.newest)
    await stage.settled()
    assert stage.feed.top == Position(2, 0)
    stage.publish()
    assert seen(transport) == [1]


async def test_a_server_that_forgot_events_makes_clients_start_anew_from_the_others(stage: Stage) -> None:
    stage.open()
    _, transport = stage.join()
    for _ in range(3):
        stage.publish()
    stage.history.entries, stage.history.top, stage.history.epoch = stage.history.entries[:1], Position(1, 1), 2
    stage.publish()
    await stage.settled()
    assert seen(transport) == [1, 2, 3, "resync", 2]
    assert stage.feed.top == Position(2, 2)


async def test_numbers_given_twice_do_not_hide_a_loss(stage: Stage) -> None:
    """Redis forgot event 1, gave its number to another one, and history has dropped that one: 2 is not the next."""
    stage.open()
    _, transport = stage.join()
    stage.publish()
    stage.history.entries, stage.history.top, stage.history.epoch = [], None, 2
    stage.publish(heard=False)
    stage.history.trim(0)
    stage.publish()
    await stage.settled()
    assert seen(transport) == [1, "resync", 2]


# --- events that end


async def test_an_event_whose_time_is_over_is_not_delivered_and_leaves_no_gap(stage: Stage) -> None:
    stage.open()
    _, transport = stage.join()
    stage.publish()
    stage.publish(expires_at=1)
    stage.publish(expires_at=LATER)
    assert seen(transport) == [1, 3]
    assert (stage.counters.expired, stage.history.reads) == (1, 0)


@pytest.mark.parametrize("kind", [Feed, SharedFeed])
async def test_an_event_whose_time_is_over_is_not_replayed(monkeypatch: pytest.MonkeyPatch, kind: type[Feed]) -> None:
    stage = Stage(kind)
    stage.open()
    soon = int(time.time() * 1000) + 60_000
    first = stage.publish()
    stage.publish(expires_at=soon)
    stage.publish()
    now = time.time() + 120
    monkeypatch.setattr(time, "time", lambda: now)
    _, transport = stage.join(first)
    await stage.settled()
    assert seen(transport) == [3]


# --- which positions are good


async def test_a_position_is_good_if_everything_after_it_is_there() -> None:
    for kind in (Feed, SharedFeed):
        stage = Stage(kind)
        stage.open()
        positions = [stage.publish() for _ in range(5)]
        assert all([await stage.feed.is_good(position) for position in (Position(1, 0), *positions)])
        for bad in (Position(1, 6), Position(2, 3), Position(0, 3), Position(9, 0), Position(1, 10**14)):
            assert not await stage.feed.is_good(bad), bad
        stage.history.trim(2)
        if kind is Feed:
            assert [await stage.feed.is_good(position) for position in (Position(1, 0), *positions)] == [
                False, False, False, False, True, True,
            ]  # fmt: skip
