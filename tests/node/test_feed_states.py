"""States of a feed: the newest counts, whichever way it comes."""

from __future__ import annotations

import pytest

from node.frames import text_frame
from shared.ids import Position
from tests.node.fakes import make_session
from tests.node.feed_stage import Stage


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
