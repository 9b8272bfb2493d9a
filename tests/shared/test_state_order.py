"""The order of states as ``publish.lua`` keeps it, against the rules written down anew: whatever comes in any order."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.ids import BEGINNING
from shared.redis_link import RedisLink
from shared.states import State, parse_record
from tests.shared.press import Item, Press

SECOND = 1_000_000
STRAGGLER = 10  # s after an end in which progress without its producer's time is taken for late

_videos = itertools.count(1)  # each example has a video of its own: the server is shared


class Said(NamedTuple):
    """What a producer says of a video.

    Attributes:
        at: its time, seconds; ``NOW`` by the server's clock, ``AHEAD`` of it, or before.
        mark: active, active and perhaps late, or final.
    """

    at: int
    mark: str


NOW, AHEAD = 60, 600
TIMES = st.sampled_from([0, 8, 16, NOW, AHEAD, AHEAD])
CALLS = st.lists(
    st.lists(st.builds(Said, TIMES, st.sampled_from("alf")), min_size=1, max_size=4), min_size=1, max_size=6
)


@dataclass
class Known:
    """The newest state by the rules as the specification has them."""

    at: float = -1
    mark: str = ""
    serial: int = -1

    def hear(self, said: Said, serial: int, call: int) -> bool:
        ahead = said.at == AHEAD
        # Every call has a later now than the one before it. A clock that runs ahead is cut to it, and so is the newer
        # of two who speak in one call.
        at = {NOW: NOW + call, AHEAD: NOW + call + 0.5}.get(said.at, said.at)
        if self.mark:
            ended, ends = self.mark == "f", said.mark == "f"
            repeated = at == self.at and not (ahead and not (ended and not ends))
            straggles = said.mark == "l" and ended and (at >= NOW) == (self.at >= NOW) and at - self.at < STRAGGLER
            if at < self.at or repeated or straggles:
                return False
        self.at, self.mark, self.serial = at, said.mark, serial
        return True


async def state_of(press: Press, video: str) -> State:
    record = await press.link.send("HGET", press.keys.all_states.table, video)
    assert record is not None
    return parse_record(video, record)


async def clock(link: RedisLink) -> int:
    """Return the server's time, µs; a script that is called now finds it later."""
    seconds, micros = await link.send("TIME")
    return int(seconds) * SECOND + int(micros)


def item(said: Said, serial: int, video: str, now_us: int) -> Item:
    state = f"{now_us + (said.at - NOW) * SECOND} {said.mark} 60000"
    return Item(f'{{"serial":{serial}', kind="e" if said.mark == "f" else "s", video=video, state=state)


_settings = settings(
    max_examples=300,
    deadline=None,
    # One server and one connection for all examples; each has a video of its own.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@_settings
@given(calls=CALLS)
async def test_the_newest_state_is_the_one_that_the_rules_name(press: Press, calls: list[list[Said]]) -> None:
    video, began = str(next(_videos)), await clock(press.link)
    known, serials, last = Known(), itertools.count(), BEGINNING
    for number, call in enumerate(calls):
        numbered = [(said, next(serials)) for said in call]
        now = await clock(press.link)
        await press(*(item(s, serial, video, now if s.at == NOW else began) for s, serial in numbered))
        changed = [known.hear(said, serial, number) for said, serial in numbered]
        state = await state_of(press, video)
        assert state.payload == b'{"serial":%d' % known.serial
        assert state.final is (known.mark == "f")
        assert state.revision.n - last.n == sum(changed) or last == BEGINNING, (
            "a revision for every change, and no other"
        )
        last = state.revision


@_settings
@given(
    said=st.lists(st.builds(Said, st.integers(0, 40), st.sampled_from("aaf")), min_size=1, unique_by=lambda s: s.at),
    data=st.data(),
)
async def test_every_order_of_arrival_ends_with_the_newest(press: Press, said: list[Said], data: Any) -> None:
    now = await clock(press.link)
    newest = max(range(len(said)), key=lambda index: said[index].at)
    for _ in range(2):
        video = str(next(_videos))
        for index in data.draw(st.permutations(range(len(said)))):
            await press(item(said[index], index, video, now))
        state = await state_of(press, video)
        assert (state.payload, state.final) == (b'{"serial":%d' % newest, said[newest].mark == "f")
