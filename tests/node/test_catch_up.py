"""How a session that is behind reads history: in pages that suit it."""

from __future__ import annotations

import asyncio
import json

import pytest

from node.catch_up import CatchUp
from node.session import Session
from shared.ids import Position
from tests.node.fakes import Counters, Host, MemoryHistory, Tasks, Transport, make_feed, make_session


async def behind(history: MemoryHistory) -> tuple[Session, Transport]:
    """Return a session of a feed that is at the top, and which has seen nothing yet."""
    host = Host()
    session, transport = make_session(host)
    feed = make_feed(history, Tasks(), Counters())
    feed.open(history.newest)
    feed.add(session)
    session.welcome(b"", (feed,), [Position(history.epoch, 0)])
    return session, transport


async def brought_up(session: Session) -> None:
    catch_up = CatchUp()
    catch_up.start(session)
    async with asyncio.timeout(30):
        while catch_up.busy:
            await asyncio.sleep(0)


def events(history: MemoryHistory, count: int, size: int) -> None:
    for _ in range(count):
        history.append(b'{"type":"x","padding":"%s"' % (b"x" * size))


def numbers(transport: Transport) -> list[int]:
    return [int(json.loads(text)["id"].rpartition("-")[2]) for text in transport.texts]


@pytest.mark.parametrize(
    ("size", "counts"),
    [(10, [16, 32, 64, 128, 256]), (2000, [16, 32, 64, 128, 128, 128]), (60_000, [16] * 31)],
    ids=["small events", "middling ones", "the largest"],
)
async def test_pages_grow_with_what_the_client_takes_up_to_what_its_kernel_holds(size: int, counts: list[int]) -> None:
    history = MemoryHistory()
    events(history, 490, size)
    session, transport = await behind(history)
    await brought_up(session)
    assert session.live
    assert history.counts == counts
    assert numbers(transport) == list(range(1, 491))


async def test_a_client_that_takes_little_reads_little_each_time() -> None:
    history = MemoryHistory()
    events(history, 490, 2000)
    session, transport = await behind(history)
    while not session.live:
        transport.stall()
        await brought_up(session)
        assert len(transport.buffered) == 1, "more than what is left of one message"
        transport.drain()
        assert len(transport.written) < 500
        if len(transport.written) == 490:
            await brought_up(session)
    assert set(history.counts) == {16}
    assert numbers(transport) == list(range(1, 491))
