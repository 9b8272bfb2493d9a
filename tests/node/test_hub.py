"""What comes from the bus: garbage is counted and stops nothing."""

from __future__ import annotations

from typing import Any, cast

import pytest

from node.history import History
from node.hub import Hub
from shared import envelope
from shared.auth import TokenVerifier
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
