"""Whatever happens on the bus, in Redis and to clients: each has every event exactly once, in order, or was told.

Hypothesis interleaves publishing, losing, doubling and swapping on the bus, trimming, expiry and forgetting in Redis,
new epochs, clients that come, stall, sip, read again, vanish and return with what they last saw, states that overtake
each other, and single steps of the loop; then everything is let settle and every client's frames are read. What runs
is the node's own code from the bus to the frame; only Redis and the transports are stand-ins.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from node import catch_up as catch_up_module
from node import feed as feed_module
from node.connection_manager import ConnectionManager
from node.cursors import resume
from node.feed import Feed
from node.frames import text_frame
from node.session import Phase
from shared.close_codes import CloseCode
from shared.errors import RedisError, RedisUnavailable
from shared.ids import ALL, Position, event_id, parse_event_id, user_stream
from tests.node.delivery import LONG_AGO, NEVER, Client, ConnectedHost, Stream
from tests.node.fakes import Counters, MemoryRedis, Tasks, make_session

USER = "7"
OWN = user_stream(USER)
STREAMS = st.sampled_from([OWN, ALL])
EXPIRIES = st.sampled_from([NEVER, NEVER, NEVER, LONG_AGO])
TURNS = st.integers(0, 8)  # of the loop: a handshake takes six
VIDEOS = st.integers(1, 3)


class DeliveryModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.redis, self.tasks, self.counters = MemoryRedis([OWN, ALL]), Tasks(), Counters()
        self.streams = {name: Stream(name, history) for name, history in self.redis.streams.items()}
        for history in self.redis.streams.values():
            history.page = 3
        self.bus: list[tuple[str, Position]] = []
        self.lost_on_the_bus = False
        self.clients: list[Client] = []
        self.trimmed = False
        # States of the user's videos: the newest revision of each, and whether it is active.
        self.revision = 0
        self.states: dict[int, tuple[Position, bool]] = {}
        self.state_bus: list[tuple[int, Position, bool]] = []

    @initialize()
    def open(self) -> None:
        self.in_loop(self._open)

    def _open(self) -> None:
        self.connections = ConnectionManager(self.redis, self.counters, self.tasks.spawn, lambda _: None)  # type: ignore[arg-type]
        self.host = ConnectedHost(self.connections)
        self.connections.all.open(self.redis.streams[ALL].newest)

    def in_loop(self, work: Any) -> None:
        async def run() -> None:
            work()

        self.loop.run_until_complete(run())

    # --- the producers and Redis

    @rule(name=STREAMS, count=st.integers(1, 4), expires_at=EXPIRIES, heard=st.booleans())
    def publish(self, name: str, count: int, expires_at: int | None, heard: bool) -> None:
        """Some of it is heard at once, some is on its way."""
        for _ in range(count):
            message = name, self.streams[name].publish(expires_at)
            if heard:
                self.in_loop(lambda message=message: self._hear(*message))
            else:
                self.bus.append(message)

    @rule(name=STREAMS, keep=st.integers(0, 6))
    def trim(self, name: str, keep: int) -> None:
        """By length, or all of it by age: a stream that has expired keeps its top alone."""
        history = self.redis.streams[name]
        self.trimmed |= len(history.entries) > keep
        history.trim(min(keep, len(history.entries)))

    @rule(name=STREAMS, count=st.integers(0, 3))
    def start_anew(self, name: str, count: int) -> None:
        """Redis starts anew: a new epoch, and its last appends may be forgotten."""
        stream = self.streams[name]
        stream.forget(min(count, len(stream.history.entries)))

    @rule(name=STREAMS, count=st.integers(1, 3), more=st.integers(0, 2), heard=st.booleans())
    def start_anew_and_go_on_unheard(self, name: str, count: int, more: int, heard: bool) -> None:
        """It forgets, gives the numbers again, and our ears are back only for the last of them."""
        self.start_anew(name, count)
        for _ in range(count + more):
            self.streams[name].publish(NEVER)
        self.lost_on_the_bus = True
        self.publish(name, 1, NEVER, heard)

    @rule(away=st.booleans())
    def redis_is(self, away: bool) -> None:
        self.redis.away = away

    @rule(video=VIDEOS, active=st.sampled_from([True, True, True, False]))
    def say_state(self, video: int, active: bool) -> None:
        self.revision += 1
        self.states[video] = (Position(1, self.revision), active)
        self.state_bus.append((video, *self.states[video]))

    # --- the bus

    @precondition(lambda self: self.bus)
    @rule(at=st.integers(0, 5), again=st.booleans())
    def bring(self, at: int, again: bool) -> None:
        at = min(at, len(self.bus) - 1)
        message = self.bus[at] if again else self.bus.pop(at)
        self.in_loop(lambda: self._hear(*message))

    @precondition(lambda self: self.bus)
    @rule()
    def bring_in_order(self) -> None:
        messages, self.bus = self.bus, []
        self.in_loop(lambda: [self._hear(*message) for message in messages])

    @precondition(lambda self: self.bus)
    @rule(at=st.integers(0, 5))
    def lose(self, at: int) -> None:
        self.bus.pop(min(at, len(self.bus) - 1))
        self.lost_on_the_bus = True

    def _hear(self, name: str, position: Position) -> None:
        feed, stream = self.connections.feed(name), self.streams[name]
        if feed is not None:
            feed.hear(position, stream.payloads[position], stream.expiries[position])

    @precondition(lambda self: self.state_bus)
    @rule(at=st.integers(0, 5), fate=st.sampled_from(["comes", "comes twice", "is lost"]))
    def bring_state(self, at: int, fate: str) -> None:
        at = min(at, len(self.state_bus) - 1)
        message = self.state_bus[at] if fate == "comes twice" else self.state_bus.pop(at)
        feed = self.connections.feed(OWN)
        if feed is not None and fate != "is lost":
            self.in_loop(lambda: self._hear_state(feed, *message))

    @staticmethod
    def _hear_state(feed: Feed, video: int, revision: Position, active: bool) -> None:
        if active:
            feed.hear_state(video, revision, b'{"video":%d,"revision":%d' % (video, revision.n), 2e9)
        else:
            feed.end_state(video, revision, 2e9)

    @rule()
    def compare(self) -> None:
        self.in_loop(self._compare)

    def _compare(self) -> None:
        for feed in self.connections.feeds:
            if feed.top is not None and feed.stream in self.streams:
                feed.compare(self.redis.streams[feed.stream].newest)

    @rule()
    def read_states(self) -> None:
        feed = self.connections.feed(OWN)
        if feed is not None:
            self.in_loop(lambda: self._read_states(feed))

    def _read_states(self, feed: Feed) -> None:
        for video, (revision, active) in sorted(self.states.items(), key=lambda item: item[1][0]):
            self._hear_state(feed, video, revision, active)

    # --- the clients

    @rule(back=st.tuples(st.integers(0, 8), st.integers(0, 8)), fresh=st.booleans(), reads=st.booleans(), turns=TURNS)
    def join(self, back: tuple[int, int], fresh: bool, reads: bool, turns: int) -> None:
        """A client comes, fresh or with any position that was ever issued; it may read nothing after the welcome."""
        issued = [(name, stream.issued) for name, stream in self.streams.items()]
        since = None
        if not fresh and all(positions for _, positions in issued):
            since = {name: ps[-1 - steps % len(ps)] for (name, ps), steps in zip(issued, back, strict=True)}
        self._come(since, reads, turns)

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 7), reads=st.booleans(), turns=TURNS)
    def come_back(self, which: int, reads: bool, turns: int) -> None:
        """A client comes back with what it saw last."""
        self._come(self.clients[which % len(self.clients)].last(), reads, turns)

    def _come(self, since: dict[str, Position] | None, reads: bool, turns: int) -> None:
        if len(self.clients) < 8:
            self.in_loop(lambda: self.tasks.spawn(self._handshake(since, reads)))
            self.let_the_loop_turn(turns)

    async def _handshake(self, since: dict[str, Position] | None, reads: bool) -> None:
        """What ``Handshake`` does, without the parts that judge."""
        session, transport = make_session(self.host)
        own, everyone = self.connections.connect(session, user_id=USER)
        try:
            await asyncio.sleep(0)  # the registration is on its way
            if self.redis.away:
                raise RedisUnavailable("away")
            own.open(self.redis.streams[OWN].newest)
            if self.states and own.states is None:
                self._read_states(own)
            text = None if since is None else ",".join(event_id(*place) for place in since.items())
            recovered, cursors = await resume((own, everyone), text)
        except RedisError:
            self.connections.disconnect(session)
            return
        start = {feed.stream: cursor for feed, cursor in zip((own, everyone), cursors, strict=True)}
        if since is not None:
            assert recovered or self.something_was_lost, "not recovered, though nothing was ever lost"
            assert not recovered or start == since
        session.welcome(text_frame(b'{"type":"connected"}'), (own, everyone), cursors)
        if not reads:
            transport.stall()
        self.clients.append(Client(session, transport, start))
        self.host.behind(session)

    @property
    def something_was_lost(self) -> bool:
        return self.trimmed or any(stream.forgot for stream in self.streams.values())

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 7))
    def stall(self, which: int) -> None:
        self.clients[which % len(self.clients)].transport.stall()

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 7))
    def sip(self, which: int) -> None:
        """It reads what is in its buffer and stalls again at once."""
        self.in_loop(self.clients[which % len(self.clients)].transport.sip)

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 7))
    def read_again(self, which: int) -> None:
        self.in_loop(self.clients[which % len(self.clients)].transport.drain)

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 7), how=st.sampled_from(["sent away", "cut off", "vanished"]))
    def leave(self, which: int, how: str) -> None:
        client = self.clients[which % len(self.clients)]
        if client.gone:
            return
        client.gone = True
        leave = {
            "sent away": lambda: client.session.close(CloseCode.SERVICE_RESTART),
            "cut off": lambda: client.session.abort(CloseCode.TRY_AGAIN_LATER),
            "vanished": lambda: client.session.connection_lost(None),
        }[how]
        self.in_loop(leave)

    @rule(turns=st.integers(1, 5))
    def let_the_loop_turn(self, turns: int) -> None:
        async def turn() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turn())

    # --- what must hold

    @invariant()
    def a_client_that_does_not_read_costs_a_constant(self) -> None:
        for client in self.clients:
            assert len(client.transport.buffered) <= 2  # what did not fit, and a close

    def teardown(self) -> None:
        try:
            if hasattr(self, "host"):
                self.loop.run_until_complete(asyncio.wait_for(self._settle(), 20))
                for client in self.clients:
                    for stream in self.streams.values():
                        self._check(client, stream)
                    self._check_states(client)
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.let_the_loop_turn(3)
            self.loop.close()

    async def _settle(self) -> None:
        self.redis.away = False
        await self.tasks.settle()
        for client in self.clients:
            if not client.gone:
                client.transport.drain()
        if self.lost_on_the_bus:
            self._compare()
        else:  # what comes, late, doubled or in disorder, is enough
            for message in self.bus:
                self._hear(*message)
        own = self.connections.feed(OWN)
        if own is not None:
            self._read_states(own)
        await self._quiet()
        self._every_feed_stands_at_its_top(or_redis_forgot=True)
        # What Redis forgot is found out with the next event; anything else by comparing tops alone.
        for name, stream in self.streams.items():
            self._hear(name, stream.publish(NEVER))
        await self._quiet()
        self._every_feed_stands_at_its_top(or_redis_forgot=False)

    def _every_feed_stands_at_its_top(self, *, or_redis_forgot: bool) -> None:
        for name, stream in self.streams.items():
            feed = self.connections.feed(name)
            if feed is not None:
                excused = or_redis_forgot and (stream.forgot or stream.history.top is None)
                assert feed.top == stream.history.newest or excused

    async def _quiet(self) -> None:
        while True:
            await self.tasks.settle()
            if self.host.catch_up.busy == 0:
                break
            await asyncio.sleep(0)
        for name in self.streams:
            feed = self.connections.feed(name)
            assert feed is None or feed.settled

    def _check(self, client: Client, stream: Stream) -> None:
        if not client.gone:
            assert client.session.phase is Phase.LIVE, "everything has settled, but this client is not live"
        position, told, ids = client.start[stream.name], False, list[Position]()
        for message in client.messages():
            found = parse_event_id(message.get("id") or message.get("cursor") or "")
            if found is None or found[0] != stream.name:
                continue
            if message.get("type") == "resync":
                position, told = found[1], True
                continue
            got = found[1]
            assert message["serial"] == stream.issued.index(got), "another event's payload under this id"
            assert stream.expiries[got] is NEVER, "its time was over"
            assert stream.only_expired_between(position, got), f"{position} is followed by {got}"
            ids.append(got)
            position = got
        assert len(set(ids)) == len(ids), "an event came twice"
        if not client.gone:
            newest = stream.history.newest
            assert position == newest, f"stops at {position}, newest is {newest}"
        assert self.something_was_lost or not told, "told of a loss, though nothing was ever lost"
        start = client.start[stream.name]
        if not told and (start.n == 0 or start in stream.issued) and position in stream.issued:
            assert ids == [p for p in stream.line_to(position) if p > start]

    def _check_states(self, client: Client) -> None:
        shown: dict[int, list[int]] = {}
        for message in client.messages():
            if "video" in message:
                shown.setdefault(message["video"], []).append(message["revision"])
        for revisions in shown.values():
            assert revisions == sorted(set(revisions)), "a state went backwards, or came twice"
        for video, (revision, active) in self.states.items():
            if active and not client.gone:
                assert shown.get(video, [])[-1:] == [revision.n], "the newest state was not shown"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "_RETRY", 0)
    monkeypatch.setattr(catch_up_module, "_RETRY", 0)


pytestmark = pytest.mark.usefixtures("no_waiting")
TestDelivery = DeliveryModel.TestCase
TestDelivery.settings = settings(
    max_examples=500,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
