"""What Redis tells of streams and states, and what of it is a loss."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from node import tops as tops_module
from node.states import catch_up_states
from node.tops import Tops
from shared.ids import BEGINNING, Position
from shared.keys import Keys
from tests.node.feed_stage import Stage, seen
from tests.shared.redis_server import until


@pytest.fixture
def tops(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Tops:
    """What compares the stage's feed, in place of the stream of all."""
    monkeypatch.setattr(tops_module, "_UNDER_WAY", 0.05)
    connections: Any = SimpleNamespace(all=stage.feed, admin=Stage().feed)
    nothing: Any = None
    return Tops(connections, nothing, nothing, nothing, stage.tasks, nothing)


async def test_a_publish_that_a_leases_renewal_has_overtaken_is_no_loss(stage: Stage, tops: Tops) -> None:
    stage.open()
    _, transport = stage.join()
    overtaken = stage.publish(heard=False)
    tops.see(BEGINNING, overtaken, BEGINNING)
    stage.hear(overtaken)
    await stage.settled()
    lost = stage.publish(heard=False)
    tops.see(BEGINNING, lost, BEGINNING)
    await until(lambda: seen(transport) == [1, 2])
    assert (stage.counters.repairs, stage.history.reads) == ({"compared": 1}, 1)


class Table:
    """The newest values in Redis, as revisions and the progress that they brought."""

    def __init__(self) -> None:
        self.progress: dict[int, int] = {}

    def of(self, tag: str) -> Table:
        return self

    def server_ms(self) -> int:
        return 0

    async def send(self, command: str, _: str, *words: Any) -> list[Any]:
        if command == "ZRANGEBYSCORE":
            return [(b"%d" % n, float(n)) for n in sorted(self.progress) if n > int(words[0][1:])]
        return [b'1-%d 1 2000000000000 a 7\n{"progress":%d' % (int(n), self.progress[int(n)]) for n in words]


@pytest.fixture
def read(stage: Stage) -> Callable[[Table, Position], Awaitable[None]]:
    return lambda table, upto: catch_up_states(stage.feed, table, Keys("test"), upto)  # type: ignore[arg-type]


async def test_states_that_changed_after_redis_told_of_them_are_left_to_the_bus(
    stage: Stage, read: Callable[[Table, Position], Awaitable[None]]
) -> None:
    stage.open()
    _, transport = stage.join()
    table = Table()
    table.progress |= {1: 10, 2: 20}
    await read(table, Position(1, 1))
    assert transport.texts == ['{"progress":10}']
    await read(table, Position(1, 2))
    assert transport.texts == ['{"progress":10}', '{"progress":20}']


async def test_who_comes_is_shown_all_states_that_there_are(
    stage: Stage, read: Callable[[Table, Position], Awaitable[None]]
) -> None:
    stage.open()
    _, transport = stage.join()
    table = Table()
    table.progress |= {1: 10, 2: 20}
    await read(table, BEGINNING)
    assert transport.texts == ['{"progress":10}', '{"progress":20}']
