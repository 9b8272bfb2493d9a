"""One stream of events as a node follows it: every loss is seen by its number."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest

from docs.node_messages import Resync
from node import catch_up as catch_up_module
from node import feed as feed_module
from node import tail as tail_module
from node.feed import Feed, SharedFeed
from node.frames import text_frame
from node.session import Phase, Session
from shared.ids import Position, parse_event_id
from tests.node.fakes import Counters, Host, MemoryHistory, Tasks, Transport, make_feed, make_session
from tests.shared.redis_server import until

LATER = 4_000_000_000_000  # ms


class Stage:
    """A feed, its history, and a client that hears it."""

    def __init__(self, kind: type[Feed] = Feed) -> None:
        self.history, self.tasks, self.counters, self.host = MemoryHistory(), Tasks(), Counters(), Host()
        self.host.catches_up = True
        self.written = 0  # to how many sockets the bus's events went
        self.feed = make_feed(self.history, self.tasks, self.counters, kind)

    def open(self) -> None:
        self.feed.open(self.history.newest)

    def publish(self, *, heard: bool = True, expires_at: int | None = None) -> Position:
        n = self.history.newest.n + 1
        position = self.history.append(b'{"n":%d' % n, expires_at)
        if heard:
            self.hear(position, expires_at)
        return position

    def hear(self, position: Position, expires_at: int | None = None) -> None:
        self.written += self.feed.hear(position, b'{"n":%d' % position.n, expires_at)

    def join(self, cursor: Position | None = None) -> tuple[Session, Transport]:
        session, transport = make_session(self.host)
        self.feed.add(session)
        session.welcome(text_frame(b"{}"), (self.feed,), [cursor or self.feed.position])
        self.host.behind(session)
        transport.written.clear()
        return session, transport

    async def settled(self) -> None:
        await self.tasks.settle()
        await until(lambda: self.host.catch_up.busy == 0)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    stage.tasks.cancel()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "_RETRY", 0.001)
    monkeypatch.setattr(catch_up_module, "_RETRY", 0.001)


def seen(transport: Transport) -> list[int | str]:
    """What a client has got: the numbers of its events, and resyncs."""
    found: list[int | str] = []
    for text in transport.texts:
        message = json.loads(text)
        if message.get("type") == "resync":
            found.append("resync")
        elif "n" in message:
            assert message["id"].endswith(f"-{message['n']}")
            found.append(message["n"])
    return found


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


# --- sessions that are behind


@pytest.mark.parametrize("kind", [Feed, SharedFeed])
async def test_a_returning_client_gets_what_it_missed_and_then_what_comes(kind: type[Feed]) -> None:
    stage = Stage(kind)
    stage.open()
    positions = [stage.publish() for _ in range(5)]
    session, transport = stage.join(positions[1])
    await stage.settled()
    assert session.live
    stage.publish()
    assert seen(transport) == [3, 4, 5, 6]


async def test_a_shared_streams_tail_is_read_from_memory(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(SharedFeed)
    stage.open()
    monkeypatch.setattr(tail_module, "_EVENTS_MAX", 512)
    positions = [stage.publish() for _ in range(600)]
    _, transport = stage.join(positions[-100])
    await stage.settled()
    assert seen(transport) == list(range(502, 601))
    assert stage.history.reads == 0
    _, older = stage.join(positions[10])
    await stage.settled()
    assert seen(older) == list(range(12, 601))
    assert stage.history.reads > 0


async def test_an_event_that_was_over_when_it_came_leaves_no_hole_behind_the_tail(stage: Stage) -> None:
    stage = Stage(SharedFeed)
    stage.open()
    first = stage.publish()
    stage.publish(expires_at=1)
    _, transport = stage.join(first)
    await stage.settled()
    assert seen(transport) == []
    stage.publish()
    assert seen(transport) == [3]


async def test_a_client_that_knows_more_than_our_bus_told_us_makes_the_feed_read(stage: Stage) -> None:
    stage.open()
    _, transport = stage.join()
    ahead = stage.publish(heard=False)
    newcomer, of_newcomer = stage.join(ahead)
    await stage.settled()
    assert newcomer.live
    assert (seen(transport), seen(of_newcomer)) == ([1], [])


async def test_a_client_behind_whom_history_was_trimmed_is_told(stage: Stage) -> None:
    stage.open()
    first = stage.publish()
    for _ in range(5):
        stage.publish()
    stage.history.trim(1)
    session, transport = stage.join(first)
    await stage.settled()
    assert seen(transport) == ["resync"]
    assert session.live


async def test_a_client_that_stalls_gets_everything_once_when_it_reads_again(stage: Stage) -> None:
    stage.open()
    session, transport = stage.join()
    transport.stall()
    for _ in range(5):
        stage.publish()
    assert session.phase is Phase.CATCHING_UP
    transport.drain()
    await stage.settled()
    stage.publish()
    assert seen(transport) == [1, 2, 3, 4, 5, 6]


async def test_a_client_that_stalls_again_and_again_while_it_catches_up_misses_nothing(stage: Stage) -> None:
    stage.open()
    first = stage.publish()
    for _ in range(20):
        stage.publish()
    session, transport = make_session(stage.host)
    stage.feed.add(session)
    session.welcome(text_frame(b"{}"), (stage.feed,), [first])
    transport.written.clear()
    for _ in range(40):
        transport.stall()
        stage.host.behind(session)
        await stage.settled()
        transport.drain()
    await stage.settled()
    assert seen(transport) == list(range(2, 22))
    assert session.live


async def test_a_client_that_reads_again_just_as_catching_up_gives_up_is_brought_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.open()
    first, *_ = [stage.publish() for _ in range(5)]
    session, client = make_session(stage.host)
    stage.feed.add(session)
    session.welcome(text_frame(b"{}"), (stage.feed,), [first])
    client.stall()
    write = client.write

    def write_and_be_read_in_the_next_step(data: bytes) -> None:
        write(data)
        asyncio.get_running_loop().call_soon(client.sip)

    monkeypatch.setattr(client, "write", write_and_be_read_in_the_next_step)
    stage.host.behind(session)
    await until(lambda: seen(client) == [2, 3, 4, 5])
    await until(lambda: session.phase is Phase.LIVE)


async def test_a_client_that_leaves_while_it_catches_up_is_written_nothing_more(stage: Stage) -> None:
    stage.open()
    first = stage.publish()
    stage.publish()
    session, transport = stage.join(first)
    session.close(1012)
    written = list(transport.written)
    await stage.settled()
    assert transport.written == written


async def test_catching_up_waits_while_history_is_away(stage: Stage) -> None:
    stage.open()
    first = stage.publish()
    stage.publish()
    stage.history.away = True
    session, transport = stage.join(first)
    await until(lambda: stage.history.reads >= 3)
    assert not session.live
    stage.history.away = False
    await stage.settled()
    assert seen(transport) == [2]


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


# --- states


async def test_a_newer_state_is_written_and_an_older_one_is_not(stage: Stage) -> None:
    stage.open()
    _, transport = stage.join()
    heard = [stage.feed.hear_state(5, Position(1, n), b'{"progress":%d' % n, 2e9) for n in (1, 3, 2, 3)]
    assert transport.texts == ['{"progress":1}', '{"progress":3}']
    assert heard == [1, 1, None, None]


async def test_a_state_after_the_end_is_not_shown_and_a_newcomer_does_not_see_the_ended(stage: Stage) -> None:
    stage.open()
    stage.feed.hear_state(5, Position(1, 1), b'{"progress":1', 2e9)
    stage.feed.end_state(5, Position(1, 3), 2e9)
    session, transport = make_session(stage.host)
    stage.feed.add(session)
    session.welcome(text_frame(b"{}"), (stage.feed,), [stage.feed.position])
    stage.host.behind(session)
    stage.feed.hear_state(5, Position(1, 2), b'{"progress":2', 2e9)
    assert transport.texts == ["{}"]


@pytest.mark.parametrize("known", [True, False])
async def test_progress_that_history_has_overtaken_is_not_shown_after_the_end(stage: Stage, known: bool) -> None:
    stage.open()
    _, transport = stage.join()
    if known:
        stage.feed.hear_state(5, Position(1, 1), b'{"progress":1', 2e9)
    end = stage.history.append(b'{"ended":5', ends=(5, Position(1, 3)))
    stage.feed.compare(end)
    await stage.settled()
    stage.feed.hear_state(5, Position(1, 2), b'{"progress":2', 2e9)
    assert [text for text in transport.texts if "progress" not in text] == ['{"ended":5,"id":"u.Nw.1-1"}']
    assert transport.texts[-1].startswith('{"ended"')
    stage.feed.hear_state(5, Position(1, 4), b'{"progress":0', 2e9)  # a newer start
    assert transport.texts[-1] == '{"progress":0}'


async def test_a_newcomer_gets_every_active_state_in_the_order_of_change(stage: Stage) -> None:
    stage.open()
    for video, n in ((1, 1), (2, 2), (3, 3), (1, 4)):
        stage.feed.hear_state(video, Position(1, n), b'{"v":%d,"n":%d' % (video, n), 2e9)
    session, transport = make_session(stage.host)
    stage.feed.add(session)
    session.welcome(text_frame(b"{}"), (stage.feed,), [stage.feed.position])
    stage.host.behind(session)
    assert transport.texts == ["{}", '{"v":2,"n":2}', '{"v":3,"n":3}', '{"v":1,"n":4}']


async def test_a_newcomer_that_reads_slowly_has_one_state_in_its_buffer_however_many_there_are(stage: Stage) -> None:
    stage.open()
    for video in range(1, 6):
        stage.feed.hear_state(video, Position(1, video), b'{"video":%d' % video, 2e9)
    session, client = make_session(stage.host)
    stage.feed.add(session)
    session.welcome(text_frame(b"{}"), (stage.feed,), [stage.feed.position])
    client.stall()
    stage.host.behind(session)
    for newer in range(1, 6):
        assert len(client.buffered) == 1
        stage.feed.hear_state(5, Position(1, 10 + newer), b'{"video":5,"newer":%d' % newer, 2e9)
        client.sip()
        await stage.settled()
    client.drain()
    await stage.settled()
    videos = [f'{{"video":{video}}}' for video in range(1, 5)]
    assert client.texts == ["{}", *videos, '{"video":5,"newer":4}', '{"video":5,"newer":5}']


async def test_a_state_that_the_bus_lost_reaches_a_client_that_was_behind_when_it_was_read(stage: Stage) -> None:
    """It is older than what the client has seen of another video."""
    stage.open()
    _, client = stage.join()
    client.stall()
    stage.feed.hear_state(2, Position(1, 2), b'{"video":2', 2e9)
    stage.feed.hear_state(1, Position(1, 1), b'{"video":1', 2e9)
    client.drain()
    await stage.settled()
    assert client.texts == ['{"video":2}', '{"video":1}']
