"""The one timer that looks over all sessions: who has been here for long enough, and who is cut off."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

import pytest
from websockets.frames import Close, Opcode

from node.counters import NodeCounters
from node.gate import leaves_at
from node.session import Session
from node.sweep import Sweep
from shared.keys import BUCKET_TAGS, SHARED_TAG, bucket
from shared.server_clock import ServerClock
from tests.node.fakes import Host, Transport, make_session


@dataclass
class FakeHub:
    """A hub as the sweep sees it, and the connection to Redis beside it."""

    sessions: list[Session] = field(default_factory=list)
    closing_sessions: set[Session] = field(default_factory=set)
    counters: NodeCounters = field(default_factory=lambda: NodeCounters(ServerClock()))
    connected: bool = True
    down_for: float = 0.0
    told: list[tuple[Session, float]] = field(default_factory=list)

    away: dict[str, float] = field(default_factory=dict)  # by hash tag, where one alone is away

    def of(self, tag: str) -> FakeHub:
        return FakeHub(down_for=self.away[tag]) if tag in self.away else self

    @property
    def connections(self) -> FakeHub:
        return self

    @property
    def log(self) -> FakeHub:
        return self

    def cut_off(self, session: Session, seconds: float) -> None:
        self.told.append((session, seconds))


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


@pytest.fixture
def sweep(hub: FakeHub) -> Sweep:
    fake: Any = hub
    no_progress: Any = None
    return Sweep(fake, no_progress, fake, heartbeat_timeout=75, slow_client_timeout=30)


def connected(host: Host, hub: FakeHub, max_age: float | None, *, is_admin: bool = False) -> tuple[Session, Transport]:
    session, transport = make_session(host, is_admin=is_admin)
    session.leaves_at = leaves_at(host.now(), max_age)
    session.welcome(b"", (), [])
    session.go_live()
    hub.sessions.append(session)
    return session, transport


def test_a_maximum_age_is_kept_give_or_take_a_tenth_and_not_by_all_at_once() -> None:
    ends = [leaves_at(1000, 3600) for _ in range(2000)]
    assert all(1000 + 3240 <= end <= 1000 + 3960 for end in ends)
    per_minute = [sum(4240 + 60 * m <= end < 4300 + 60 * m for end in ends) for m in range(12)]
    assert max(per_minute) < 2 * min(per_minute), "bunched"


def test_without_a_maximum_age_a_connection_may_last_for_ever() -> None:
    assert leaves_at(1000, None) == math.inf


def test_who_has_reached_the_age_is_told_when_to_come_back_and_closed_as_at_a_restart(
    host: Host, hub: FakeHub, sweep: Sweep
) -> None:
    _, transport = connected(host, hub, 600)
    connected(host, hub, None)
    sweep.sweep(host.now() + 539, heartbeats=False)
    assert transport.received == []
    sweep.sweep(host.now() + 661, heartbeats=False)
    said, closed = transport.received
    assert json.loads(said.data).keys() == {"type", "retry_after_ms"}
    assert json.loads(said.data)["retry_after_ms"] <= 1100
    assert closed.opcode == Opcode.CLOSE
    assert Close.parse(bytes(closed.data)).code == 1012
    assert hub.sessions[1].live


def test_nobody_is_sent_to_other_nodes_that_could_not_take_them_in(host: Host, hub: FakeHub, sweep: Sweep) -> None:
    session, transport = connected(host, hub, 600)
    hub.connected, hub.down_for = False, 10
    sweep.sweep(host.now() + 661, heartbeats=False)
    assert session.live
    hub.connected, hub.down_for = True, 0
    sweep.sweep(host.now() + 662, heartbeats=False)
    assert [frame.opcode for frame in transport.received] == [Opcode.TEXT, Opcode.CLOSE]


def test_who_reads_nothing_is_cut_off_and_not_asked_to_leave(host: Host, hub: FakeHub, sweep: Sweep) -> None:
    session, transport = connected(host, hub, 10)
    transport.stall()
    session.write(b"the buffer is no longer empty")
    sweep.sweep(host.now() + 29, heartbeats=True)
    assert not transport.aborted
    sweep.sweep(host.now() + 31, heartbeats=True)
    assert transport.aborted
    assert (session.close_code, hub.counters.stalled) == (1013, 1)
    assert hub.told == [(session, 31.0)]


def test_a_redis_that_is_away_for_long_is_one_line_each_time(
    host: Host, hub: FakeHub, sweep: Sweep, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(200):
        connected(host, hub, None)
    for hub.down_for in (29, 31, 32, 33, 0, 31, 32):
        sweep.sweep(host.now(), heartbeats=True)
    lines = [vars(record) for record in caplog.records]
    assert [(line["msg"], line["seconds"]) for line in lines] == [
        ("redis is away for long; clients are sent elsewhere", 31)
    ] * 2
    assert lines[0]["connections"] == 200


@pytest.mark.parametrize(("tag", "sent_away"), [(bucket("7"), [True, False]), (SHARED_TAG, [True, True])])
def test_of_a_cluster_of_which_a_part_is_away_for_long_those_go_whom_it_concerns(
    host: Host, hub: FakeHub, sweep: Sweep, tag: str, sent_away: list[bool]
) -> None:
    user, _ = connected(host, hub, None)
    admin, _ = connected(host, hub, None, is_admin=True)
    hub.away = {tag: 31}
    sweep.sweep(host.now(), heartbeats=True)
    assert [not session.live for session in (user, admin)] == sent_away


def test_a_part_that_concerns_nobody_here_sends_nobody_away(host: Host, hub: FakeHub, sweep: Sweep) -> None:
    user, _ = connected(host, hub, None)
    hub.away = {next(tag for tag in BUCKET_TAGS if tag != bucket("7")): 31}
    sweep.sweep(host.now(), heartbeats=True)
    assert user.live
