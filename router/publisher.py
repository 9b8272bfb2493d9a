"""Publishes orders: script calls out, outcomes back.

Every audience is a stream in one hash tag. For each tag, one script call numbers the messages, stores them and
publishes them to the nodes; the calls for all tags are sent together. Redis remembers what an operation has done in a
tag, so that a retry under the same key completes what a fault interrupted, and doubles nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from router.operations import KeyReused
from router.order import Order, Outcome, Target
from router.script_call import Retention, ScriptCall, results
from shared.errors import OutcomeUnknown
from shared.ids import ADMIN, ALL, user_stream
from shared.keys import SHARED_TAG, Keys, bucket
from shared.link import Link
from shared.scripts import PUBLISH, Scripts

_CALLS_PER_WAVE: Final = 32  # about 40 ms of Redis
_TARGETS_MAX: Final = 8192  # about 6 MB


class Publisher:
    def __init__(
        self,
        link: Link,
        scripts: Scripts,
        keys: Keys,
        *,
        history_length: int,
        history_length_shared: int,
        history_ttl: float,
        state_ttl: float,
        archive_max_bytes: int = 0,
    ) -> None:
        self._link, self._scripts, self._keys = link, scripts, keys
        self._retention = Retention(
            history_length, history_length_shared, int(history_ttl * 1000), int(state_ttl * 1000), archive_max_bytes
        )
        self.admin = self._shared(ADMIN, keys.admin_channel, keys.progress_channel)
        self.all = self._shared(ALL, keys.all_channel, keys.all_channel)
        self._targets: dict[str, Target] = {}  # of users: some are written to again and again

    def _shared(self, stream: str, channel: str, state_channel: str) -> Target:
        history = self._keys.stream(SHARED_TAG, stream)
        return Target(SHARED_TAG, stream, channel, history, state_channel, label=stream, shared=stream)

    def user(self, user: str) -> Target:
        """Return a user's target."""
        target = self._targets.get(user)
        if target is None:
            if len(self._targets) == _TARGETS_MAX:
                self._targets.clear()  # an LRU would cost every lookup more than these misses cost together
            tag, stream = bucket(user), user_stream(user)
            target = Target(tag, stream, user, self._keys.stream(tag, stream), "", label=f"user:{user}")
            self._targets[user] = target
        return target

    def users(self, users: Sequence[str]) -> list[Target]:
        """Return the targets of users, each once."""
        if len(users) == 1:
            return [self.user(users[0])]
        return [self.user(user) for user in dict.fromkeys(users)]

    async def publish(self, orders: Sequence[Order]) -> list[Outcome | KeyReused]:
        """Publish, and return one outcome per order.

        Raises:
            RedisUnavailable: nothing was done; of several tags, nothing in one of them.
            OutcomeUnknown: it may have been done in part; the same operations again complete it.
            RedisRefused: Redis is out of memory or read-only, for example.
        """
        calls: list[ScriptCall] = []
        replies: list[bytes] = []
        for wave in self._waves(orders):
            calls += wave
            replies += await self._scripts.run_all(self._link, PUBLISH, [(call.keys, call.args) for call in wave])
            for call in wave:
                call.forget_arguments()
        if b"late" in replies:
            raise OutcomeUnknown("Redis was too slow")
        return _outcomes(orders, calls, replies)

    def _waves(self, orders: Sequence[Order]) -> Iterator[list[ScriptCall]]:
        """Yield script calls in groups that are sent together.

        There is one call per tag, or several where one would block Redis for too long. The size of a group is bounded,
        because all of it has one deadline, is in memory once per user, and delays whatever comes after it.
        """
        wave: list[ScriptCall] = []
        growing: dict[str, ScriptCall] = {}  # by tag
        recorded: set[tuple[str, int]] = set()
        for index, order in enumerate(orders):
            for target in order.targets:
                call = growing.get(target.tag)
                if call is None or call.room <= 0:
                    if len(wave) == _CALLS_PER_WAVE:
                        yield wave
                        wave, growing = [], {}
                    call = growing[target.tag] = ScriptCall(
                        target.tag, self._keys, self._retention, self._deadline(target.tag)
                    )
                    wave.append(call)
                call.add(index, target, order, recorded)
        if wave:
            yield wave

    def _deadline(self, tag: str) -> int:
        """Return the time after which the script must not start, ms on the clock of the server that runs it."""
        link = self._link.of(tag)
        return link.server_ms() + int(link.timeout * 1000)


def _outcomes(orders: Sequence[Order], calls: list[ScriptCall], replies: list[bytes]) -> list[Outcome | KeyReused]:
    outcomes: list[Outcome | KeyReused | None] = [None] * len(orders)
    nodes: dict[int, set[str]] = {}  # of orders to several users: the distinct nodes seen
    for call, reply in zip(calls, replies, strict=True):
        for (index, target, order), (status, position, online, places) in zip(call.items, results(reply), strict=True):
            if status == "conflict":
                outcomes[index] = KeyReused()
                continue
            ids = {} if position == "-" else {target.label: f"{target.stream}.{position}"}
            if len(order.targets) == 1:  # most, by far
                outcomes[index] = Outcome(ids, _count(places), online == "1")
                continue
            outcome = outcomes[index]
            if outcome is None:
                outcome = outcomes[index] = Outcome({}, 0, online=False)
            if isinstance(outcome, Outcome):
                _add(outcome, ids, _count(places, nodes.setdefault(index, set())), online == "1")
    for index in nodes:
        _sort_ids(outcomes[index], orders[index])
    return outcomes  # type: ignore[return-value]  # every order has at least one target


def _add(outcome: Outcome, ids: dict[str, str], nodes: int, online: bool) -> None:
    """Add what became of an order in one of its streams."""
    outcome.ids |= ids
    outcome.nodes = max(outcome.nodes, nodes)
    outcome.online |= online


def _sort_ids(outcome: Outcome | KeyReused | None, order: Order) -> None:
    """Put ids into the order of the audiences."""
    if isinstance(outcome, Outcome):
        ids = outcome.ids
        outcome.ids = {target.label: ids[target.label] for target in order.targets if target.label in ids}


def _count(places: str, seen: set[str] | None = None) -> int:
    """Return how many nodes an order reached so far: live ones for a shared stream, else the distinct ones seen."""
    if places.isdigit():
        return int(places)
    if seen is None:
        return places.count("=")
    seen.update(place.partition("=")[0] for place in places.split(" ")[1:])
    return len(seen)
