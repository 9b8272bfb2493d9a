"""How a drain tells of itself. What it does, tests/integration/test_leaving.py shows."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from node.drain import Drain
from tests.node.fakes import Host, make_session


class FakeHub:
    """A hub as the drain sees it, whose clock goes a second further at every look."""

    def __init__(self, host: Host, connections: int) -> None:
        self.sessions = [make_session(host)[0] for _ in range(connections)]
        self.closing_sessions: set[Any] = set()
        self.time = 1000.0

    @property
    def connections(self) -> FakeHub:
        return self

    def now(self) -> float:
        self.time += 1
        return self.time

    def cancel_tasks(self) -> None:
        """Nothing runs."""


async def test_a_drain_tells_how_it_begins_how_far_it_is_and_how_it_ended(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    hub: Any = FakeHub(Host(), 100)
    await Drain(hub, 30).run()
    begins, *goes_on, ended = [vars(record) for record in caplog.records]
    assert (begins["msg"], begins["connections"], begins["seconds"]) == ("drain begins", 100, 30)
    assert {line["msg"] for line in goes_on} == {"drain goes on"}
    left = [line["connections"] for line in goes_on]
    assert len(left) >= 3
    assert left == sorted(left, reverse=True)
    assert 0 <= left[-1] < left[0] < 100
    assert (ended["msg"], ended["connections"], ended["cut_off"], ended["hurried"]) == ("drain ended", 100, 0, False)
