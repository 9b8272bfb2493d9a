"""Whatever happens on the bus and to clients: each live client has every event exactly once, in order, or was told.

Hypothesis interleaves publishing, losing, doubling and swapping on the bus, trimming and forgetting in Redis, clients
that come, stall, read again and return, and single steps of the loop; then everything is let settle and every client's
frames are read.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from node import catch_up as catch_up_module
from node import feed as feed_module
from node.feed import Feed, SharedFeed
from node.frames import text_frame
from node.session import Phase, Session
from shared.close_codes import CloseCode
from shared.ids import Position, event_id, parse_event_id
from tests.node.fakes import Counters, House, MemoryHistory, Tasks, Transport, make_feed, make_session

STREAM = "u.Nw"


@dataclass
class Client:
    session: Session
    transport: Transport
    start: Position
    joined_after: int
    gone: bool = False
    told: list[str] = field(default_factory=list)

    def messages(self) -> list[dict[str, object]]:
        return [json.loads(text) for text in self.transport.texts[1:]]


class DeliveryModel(RuleBasedStateMachine):
    kind: type[Feed] = Feed

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.history, self.tasks, self.counters = MemoryHistory(), Tasks(), Counters()
        self.issued: list[Position] = []  # every id in the order in which it was given
        self.on_the_bus: list[Position] = []
        self.payloads: dict[Position, bytes] = {}
        self.clients: list[Client] = []
        self.forgot = False

    @initialize()
    def open(self) -> None:
        self.house = self.loop.run_until_complete(self._make_house())
        self.feed = make_feed(self.history, self.tasks, self.counters, self.kind, STREAM)
        self.feed.open(self.history.newest)

    async def _make_house(self) -> House:
        house = House()
        house.catches_up = True
        return house

    def step(self, turns: int = 1) -> None:
        async def turn() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turn())

    def in_loop(self, work) -> None:  # type: ignore[no-untyped-def]
        async def run() -> None:
            work()

        self.loop.run_until_complete(run())

    # --- the producers and Redis

    @rule(count=st.integers(1, 4))
    def publish(self, count: int) -> None:
        for _ in range(count):
            payload = b'{"serial":%d' % len(self.issued)
            position = self.history.append(payload)
            self.payloads[position] = payload
            self.issued.append(position)
            self.on_the_bus.append(position)

    @rule(keep=st.integers(0, 6))
    def trim(self, keep: int) -> None:
        self.history.trim(min(keep, len(self.history.entries)))

    @rule(count=st.integers(0, 3))
    def start_anew(self, count: int) -> None:
        """Redis starts anew and has forgotten its last appends."""
        count = min(count, len(self.history.entries))
        self.forgot |= count > 0
        if count:
            self.history.entries = self.history.entries[:-count]
            last = self.history.newest.n - count
            self.history.top = next((p for p in reversed(self.issued) if p.n == last), None) if last else None
        self.history.epoch += 1

    @rule(away=st.booleans())
    def redis_is(self, away: bool) -> None:
        self.history.away = away

    # --- the bus

    @precondition(lambda self: self.on_the_bus)
    @rule(at=st.integers(0, 5), again=st.booleans())
    def bring(self, at: int, again: bool) -> None:
        at = min(at, len(self.on_the_bus) - 1)
        position = self.on_the_bus[at] if again else self.on_the_bus.pop(at)
        self.in_loop(lambda: self.feed.hear(position, self.payloads[position], None))

    @precondition(lambda self: self.on_the_bus)
    @rule()
    def bring_in_order(self) -> None:
        positions, self.on_the_bus = self.on_the_bus, []

        def bring() -> None:
            for position in positions:
                self.feed.hear(position, self.payloads[position], None)

        self.in_loop(bring)

    @precondition(lambda self: self.on_the_bus)
    @rule(at=st.integers(0, 5))
    def lose(self, at: int) -> None:
        self.on_the_bus.pop(min(at, len(self.on_the_bus) - 1))

    @rule()
    def compare(self) -> None:
        self.in_loop(lambda: self.feed.compare(self.history.newest))

    # --- the clients

    @precondition(lambda self: len(self.clients) < 6)
    @rule(back=st.integers(0, 8), fresh=st.booleans())
    def join(self, back: int, fresh: bool) -> None:
        self.loop.run_until_complete(
            self._join(None if fresh or not self.issued else self.issued[-1 - back % len(self.issued)])
        )

    async def _join(self, since: Position | None) -> None:
        self.history.away = False
        good = since is not None and await self.feed.is_good(since)
        if not good:
            await self.feed.wait_settled()
        start = since if good and since is not None else self.feed.position
        session, transport = make_session(self.house)
        self.feed.add(session)
        session.welcome(text_frame(b'{"type":"connected"}'), (self.feed,), [start])
        self.clients.append(Client(session, transport, start, len(self.issued)))
        self.house.behind(session)

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 5))
    def stall(self, which: int) -> None:
        self.clients[which % len(self.clients)].transport.stall()

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 5))
    def read_again(self, which: int) -> None:
        self.in_loop(self.clients[which % len(self.clients)].transport.drain)

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 5))
    def leave(self, which: int) -> None:
        client = self.clients[which % len(self.clients)]
        client.gone = True
        self.in_loop(lambda: client.session.close(CloseCode.SERVICE_RESTART))

    @rule(turns=st.integers(1, 5))
    def let_the_loop_turn(self, turns: int) -> None:
        self.step(turns)

    # --- what must hold

    @invariant()
    def a_client_that_does_not_read_costs_a_constant(self) -> None:
        for client in self.clients:
            assert len(client.transport.buffered) <= 2  # what did not fit, and a close

    def teardown(self) -> None:
        try:
            if hasattr(self, "feed"):
                self.loop.run_until_complete(asyncio.wait_for(self._settle(), 20))
                for client in self.clients:
                    self._check(client)
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.step(3)
            self.loop.close()

    async def _settle(self) -> None:
        self.history.away = False
        self.feed.compare(self.history.newest)
        for client in self.clients:
            client.transport.drain()
        await self._quiet()
        # What Redis forgot is found out with the next event; anything else by comparing tops alone.
        assert self.feed.top == self.history.newest or self.forgot
        self.publish(1)
        self.feed.hear(self.issued[-1], self.payloads[self.issued[-1]], None)
        await self._quiet()
        assert self.feed.top == self.history.newest

    async def _quiet(self) -> None:
        while True:
            await self.tasks.settle()
            if self.house.catch_up.busy == 0:
                break
            await asyncio.sleep(0)
        assert self.feed.settled

    def _check(self, client: Client) -> None:
        if not client.gone:
            assert client.session.phase is Phase.LIVE, "everything has settled, but this client is not live"
        position: Position | None = client.start
        excused = False
        received = client.messages()
        ids: list[Position] = []
        for message in received:
            if message.get("type") == "resync":
                found = parse_event_id(str(message["cursor"]))
                assert found is not None
                position, excused = found[1], True
                continue
            found = parse_event_id(str(message["id"]))
            assert found is not None
            got = found[1]
            assert message["serial"] == self.issued.index(got), "another event's payload under this id"
            ids.append(got)
            assert got.n == position.n + 1, f"{event_id(STREAM, position)} is followed by {event_id(STREAM, got)}"  # type: ignore[union-attr]
            position = got
        assert len(set(ids)) == len(ids), "an event came twice"
        if not client.gone:
            newest = self.history.newest
            assert position == newest, f"stops at {position}, newest is {newest}"
        if not excused and client.start in self.issued and position in self.issued:
            survivors = [p for p in self._line_to(position) if p > client.start]  # type: ignore[arg-type]
            assert ids == survivors

    def _line_to(self, position: Position) -> list[Position]:
        """Return the events that lead to a position: of a number given twice, what Redis forgot is not among them."""
        line: list[Position] = []
        for issued in self.issued[: self.issued.index(position) + 1]:
            while line and line[-1].n >= issued.n:
                line.pop()
            line.append(issued)
        return line


class SharedDeliveryModel(DeliveryModel):
    kind = SharedFeed


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "_RETRY", 0)
    monkeypatch.setattr(catch_up_module, "_RETRY", 0)


_SETTINGS = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
pytestmark = pytest.mark.usefixtures("no_waiting")
TestAUsersStream = DeliveryModel.TestCase
TestAUsersStream.settings = _SETTINGS
TestASharedStream = SharedDeliveryModel.TestCase
TestASharedStream.settings = _SETTINGS
