"""A session whose client reads nothing, and the states that it gets afterwards."""

from __future__ import annotations

import pytest

from node.frames import text_frame
from node.session import Phase, Session
from shared.ids import Position
from tests.node.fakes import Counters, Host, MemoryHistory, Tasks, Transport, make_feed, make_session
from tests.node.sessions import TOP, live


def stalled(host: Host) -> tuple[Session, Transport]:
    session, transport = live(host)
    transport.stall()
    (feed,) = session.feeds
    feed.hear(Position(1, 6), b'{"n":6', None)
    return session, transport


def test_a_client_that_does_not_read_is_not_live_and_is_not_read(host: Host) -> None:
    host.time += 5
    session, transport = stalled(host)
    assert (session.phase, session.live, session.writable) == (Phase.CATCHING_UP, False, False)
    assert not transport.reading
    assert session.since == host.time
    assert session.cursors == [Position(1, 6)], "what is in its buffer it has"


def test_events_cost_a_client_that_does_not_read_nothing(host: Host) -> None:
    session, transport = stalled(host)
    (feed,) = session.feeds
    for n in range(7, 1000):
        feed.hear(Position(1, n), b'{"n":1', None)
        feed.hear_state(1, Position(1, n), b'{"progress":1', 2_000_000_000.0)
    assert len(transport.buffered) == 1


def test_a_client_that_reads_again_is_heard_and_brought_up_to_date(host: Host) -> None:
    session, transport = stalled(host)
    host.time += 20
    transport.drain()
    assert transport.reading
    assert session.writable
    assert session.heard_at == host.time, "it could not be heard meanwhile"
    assert host.behind_calls == [session]
    assert session.phase is Phase.CATCHING_UP


def test_only_the_newest_state_waits_for_a_client_that_does_not_read(host: Host) -> None:
    host.catches_up = True
    session, transport = live(host)
    (feed,) = session.feeds
    transport.stall()
    for n in range(1, 100):
        feed.hear_state(1, Position(1, n), b'{"progress":%d' % n, 2_000_000_000.0)
    transport.drain()
    assert transport.texts == ['{"progress":1}', '{"progress":99}']
    assert session.live


@pytest.mark.parametrize("own_is_ahead", [False, True])
def test_states_of_two_feeds_are_counted_each_for_itself(host: Host, own_is_ahead: bool) -> None:
    """Revisions of two hash tags have nothing to do with each other."""
    host.catches_up = True
    session, transport = make_session(host)
    own = make_feed(MemoryHistory(), Tasks(), Counters())
    everyone = make_feed(MemoryHistory(), Tasks(), Counters(), stream="all")
    slow, fast = (everyone, own) if own_is_ahead else (own, everyone)
    for feed in (own, everyone):
        feed.open(TOP)
        feed.add(session)
    session.welcome(text_frame(b"{}"), (own, everyone), [TOP, TOP])
    session.go_live()
    fast.hear_state(1, Position(1, 1000), b'{"fast":1', 2_000_000_000.0)
    slow.hear_state(2, Position(1, 5), b'{"slow":1', 2_000_000_000.0)
    transport.stall()
    session.write(text_frame(b'"in the buffer"'))
    slow.hear_state(2, Position(1, 6), b'{"slow":2', 2_000_000_000.0)
    transport.drain()
    assert session.live
    assert '{"slow":2}' in transport.texts


def test_a_connecting_client_gets_the_states_of_both_its_feeds(host: Host) -> None:
    host.catches_up = True
    session, transport = make_session(host)
    own = make_feed(MemoryHistory(), Tasks(), Counters())
    everyone = make_feed(MemoryHistory(), Tasks(), Counters(), stream="all")
    for feed, n, payload in ((own, 1000, b'{"own":1'), (everyone, 5, b'{"all":1')):
        feed.open(TOP)
        feed.hear_state(1, Position(1, n), payload, 2_000_000_000.0)
        feed.add(session)
    session.welcome(text_frame(b"{}"), (own, everyone), [TOP, TOP])
    host.behind(session)
    assert session.live
    assert transport.texts == ["{}", '{"own":1}', '{"all":1}']
