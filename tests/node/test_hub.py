"""What comes from the bus: garbage is counted and stops nothing."""

from __future__ import annotations

from typing import Any, cast

import pytest

from node.feed import Feed
from node.history import History
from node.hub import Hub
from shared import envelope
from shared.auth import TokenVerifier
from shared.ids import Position
from shared.server_clock import ServerClock
from shared.stats import Counters


def make_hub() -> Hub:
    unused: Any = None
    return Hub(
        cast(History, unused),
        cast(TokenVerifier, unused),
        stats=lambda: Counters(0, 0, 0),
        changed=lambda _: None,
        missed=lambda: None,
        frame_max_bytes=4096,
        commands_per_second=20,
        state_ttl=3600,
        clock=ServerClock(),
    )


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b"1 e",
        b"1 e 5 all 1-1 0 - - -\nxx",
        b"1 e 1 all 1 0 - - -\n{",
        b"1 e 1 all 1-1 0 - soon -\n{",
        b"1 s 1 all 1-1 0 - - x@1-1\n{",
        b"1 c 1 - - - - - -\n{",
        b"1 c 1 - - - - - -\n5",
        envelope.control(b"null"),
        envelope.control(b'{"end":[1,2]}'),
        envelope.control(b'{"end":"a b"}'),
        envelope.control(b'{"begin":"7"}'),
    ],
)
async def test_garbage_on_the_bus_raises_nothing(data: bytes) -> None:
    make_hub().hear(data)


async def test_what_cannot_be_read_is_counted() -> None:
    hub = make_hub()
    hub.hear(b"\xff")
    hub.hear(envelope.control(b'{"end":[1,2]}'))
    assert hub.counters.unreadable == 2


# --- what is counted of what can be read


class Browser:
    """A session as a feed sees it."""

    is_admin = False

    def __init__(self, *, live: bool = True) -> None:
        self.live = live
        self.frames: list[bytes] = []

    def write(self, frame: bytes) -> bool:
        self.frames.append(frame)
        return True


def join(feed: Feed, *, live: bool = True) -> None:
    browser: Any = Browser(live=live)
    feed.add(browser)
    feed.open(Position(1, 0))


def written(hub: Hub, audience: str) -> dict[str, int]:
    series = hub.counters.delivery_times[audience].series()
    return {kind: of.written for kind, of in series.items()}


async def test_an_event_is_counted_by_type_and_audience_once_per_socket() -> None:
    hub = make_hub()
    for _ in range(3):
        join(hub.connections.all)
    payload = b'{"type":"system_message","message":"hello"'
    hub.hear(b"1 e %d all 1-1 1000 - - -\n%s" % (len(payload), payload))
    assert written(hub, "all") == {"system_message": 3}
    assert sum(hub.counters.delivery_times["all"].series()["system_message"].counts) == 1
    assert (hub.counters.delivered, hub.counters.caught_up) == (3, 0)


async def test_what_nobody_here_is_written_is_not_timed() -> None:
    hub = make_hub()
    join(hub.connections.admin, live=False)
    hub.hear(b'1 e 11 admin 1-1 1000 - - -\n{"type":"x"')
    hub.hear(b'1 e 11 all 1-1 1000 - - -\n{"type":"x"')
    assert written(hub, "admin") == written(hub, "all") == {}


async def test_states_are_stale_or_conflated_or_written() -> None:
    hub = make_hub()
    join(hub.connections.admin)
    join(hub.connections.admin, live=False)
    payload = b'{"type":"transcode_progress","video_id":5,"progress":1'
    for revision in (1, 3, 2):
        hub.hear(b"1 s %d admin 1-%d 1000 - - 5@1-%d\n%s" % (len(payload), revision, revision, payload))
    assert written(hub, "admin") == {"transcode_progress": 2}
    assert (hub.counters.stale, hub.counters.conflated) == (1, 2)


async def test_a_payload_too_short_to_have_a_type_is_written_and_stops_nothing() -> None:
    hub = make_hub()
    join(hub.connections.all)
    hub.hear(b"1 e 2 all 1-1 1000 - - -\n{}")
    hub.hear(b'1 e 11 all 1-2 1000 - - -\n{"type":"x"')
    assert written(hub, "all") == {"custom": 1}
