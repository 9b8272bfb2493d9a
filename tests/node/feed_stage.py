"""A feed with its history, and clients that hear it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from node import catch_up as catch_up_module
from node import feed as feed_module
from node.feed import Feed
from node.frames import text_frame
from node.session import Session
from shared.ids import Position
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
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """A stage that is asked for history again at once where history is away."""
    monkeypatch.setattr(feed_module, "_RETRY", 0.001)
    monkeypatch.setattr(catch_up_module, "_RETRY", 0.001)
    stage = Stage()
    yield stage
    stage.tasks.cancel()


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
