"""A poll that waits: a session that rings."""

from __future__ import annotations

from node.session import Phase
from node.waiter import Waiter
from shared.close_codes import CloseCode
from shared.ids import Position
from tests.node.fakes import Counters, Host, MemoryHistory, Tasks, make_feed


def make_waiter(host: Host) -> Waiter:
    return Waiter(host, is_admin=False)  # type: ignore[arg-type]


async def test_it_rings_for_what_its_feeds_write_once_it_listens(host: Host) -> None:
    waiter = make_waiter(host)
    feed = make_feed(MemoryHistory(), Tasks(), Counters())
    feed.add(waiter)
    feed.open(Position(1, 5))
    feed.hear(Position(1, 6), b"{", None)
    assert not await waiter.rings(0)
    waiter.listen()
    feed.hear(Position(1, 7), b"{", None)
    assert await waiter.rings(5)
    assert not await waiter.rings(0)
    feed.hear_state(1, Position(1, 1), b"{", 1e12)
    assert await waiter.rings(5)


async def test_it_rings_at_its_end_and_tells_why(host: Host) -> None:
    waiter = make_waiter(host)
    waiter.listen()
    waiter.send_away(CloseCode.SERVICE_RESTART, "this node leaves", 1234)
    assert await waiter.rings(5)
    assert waiter.ended
    assert (waiter.close_code, waiter.reason, waiter.retry_after_ms) == (1012, "this node leaves", 1234)
    waiter.close(CloseCode.FORBIDDEN, "again")
    assert (waiter.close_code, host.closing_calls, host.closed_calls) == (1012, [(waiter, 1012)], [waiter])


async def test_ended_before_it_listens_it_stays_so(host: Host) -> None:
    waiter = make_waiter(host)
    waiter.close(CloseCode.UNAUTHENTICATED, "ended by an administrator")
    waiter.listen()
    assert waiter.phase is Phase.CLOSED
    assert not waiter.live
