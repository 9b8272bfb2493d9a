"""Sessions that are behind are brought to the top of their feed, once and in order."""

from __future__ import annotations

import asyncio

import pytest

from node import tail as tail_module
from node.feed import Feed, SharedFeed
from node.frames import text_frame
from node.session import Phase
from tests.node.fakes import make_session
from tests.node.feed_stage import Stage, seen
from tests.shared.redis_server import until


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
