"""The way of a message from the router into Redis.

Every audience is a stream in one hash tag. One script call per tag orders the messages of a call, keeps them and hands
them to the nodes; the calls of all tags leave together. What an operation has done in a tag is remembered there, so
that a retry with the same key completes what a fault cut off and doubles nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Final, NamedTuple

from router.operations import KeyReused, Operation, Origin
from shared.errors import OutcomeUnknown
from shared.ids import ADMIN, ALL, user_stream
from shared.keys import SHARED_TAG, Keys, bucket
from shared.messages import FINAL_STATE_TTL, Message
from shared.redis_link import Argument, RedisLink
from shared.scripts import PUBLISH, Scripts

_ITEMS_PER_CALL: Final = 100  # about 1 ms of Redis: others are served in between


class Target(NamedTuple):
    """One audience's stream.

    Attributes:
        where: the user id, or the shared stream's channel.
        label: its name in an answer's ``ids``.
    """

    tag: str
    stream: str
    where: str
    state_channel: str
    label: str


@dataclass(slots=True)
class Order:
    """A message, the streams it goes to, and what the answer needs.

    Attributes:
        name: tells the operation's orders apart; the same in every repetition, without spaces.
    """

    message: Message
    targets: Sequence[Target]
    operation: Operation
    origin: Origin
    owner: str = ""
    name: str = "0"


@dataclass(slots=True)
class Outcome:
    """What became of an order; ``nodes`` counts distinct nodes."""

    ids: dict[str, str]
    nodes: int
    online: bool


_Item = tuple[int, Target, Order]
_Reply = tuple[bytes, bytes, int, bytes | int]  # status, position, online, places


class Publisher:
    def __init__(
        self,
        link: RedisLink,
        scripts: Scripts,
        keys: Keys,
        *,
        history_length: int,
        history_length_shared: int,
        history_ttl: float,
        state_ttl: float,
    ) -> None:
        self._link, self._scripts, self._keys = link, scripts, keys
        self._lengths = {False: history_length, True: history_length_shared}
        self._history_ttl_ms = int(history_ttl * 1000)
        self._state_ttl_ms = int(state_ttl * 1000)
        self._node_channels = keys.node_channel("")
        self.admin = Target(SHARED_TAG, ADMIN, keys.admin_channel, keys.progress_channel, label=ADMIN)
        self.all = Target(SHARED_TAG, ALL, keys.all_channel, keys.all_channel, label=ALL)

    def user(self, user: str) -> Target:
        return _user_target(user)

    def users(self, users: Iterable[str]) -> list[Target]:
        return [_user_target(user) for user in dict.fromkeys(users)]

    async def publish(self, orders: Sequence[Order]) -> list[Outcome | KeyReused]:
        """Publish, and return one outcome per order.

        Raises:
            RedisUnavailable: nothing was done.
            OutcomeUnknown: it may have been done in part; the same operations again complete it.
            RedisRefused: Redis is out of memory or read-only, for example.
        """
        by_tag: dict[str, list[_Item]] = {}
        for index, order in enumerate(orders):
            for target in order.targets:
                by_tag.setdefault(target.tag, []).append((index, target, order))
        calls = [
            items[i : i + _ITEMS_PER_CALL] for items in by_tag.values() for i in range(0, len(items), _ITEMS_PER_CALL)
        ]
        known: set[tuple[str, int]] = set()  # operations that an earlier call of ours may have recorded in its tag
        replies = await self._scripts.run_all(self._link, PUBLISH, [self._call(items, known) for items in calls])
        if any(reply[0] == b"late" for reply in replies):
            raise OutcomeUnknown("Redis was too slow")
        return _outcomes(orders, calls, replies)

    def _call(self, items: list[_Item], known: set[tuple[str, int]]) -> tuple[list[str], list[Argument]]:
        """Return keys and arguments of the script's call for items of one tag."""
        keys, args = self._head(items[0][1].tag)
        for _, group in groupby(items, key=lambda item: id(item[2].operation)):
            self._append_operation(keys, args, list(group), known)
        return keys, args

    def _head(self, tag: str) -> tuple[list[str], list[Argument]]:
        k, shared = self._keys, tag == SHARED_TAG
        places, totals = (k.leases, k.totals) if shared else (k.users(tag), k.users(tag))
        deadline = self._link.server_ms() + int(self._link.timeout * 1000)
        mode = "shared" if shared else "users"
        return (
            [k.seq(tag), places, totals],
            [deadline, mode, self._node_channels, self._lengths[shared], self._history_ttl_ms],
        )

    def _append_operation(
        self, keys: list[str], args: list[Argument], items: list[_Item], known: set[tuple[str, int]]
    ) -> None:
        """Append an operation's messages for one tag to the keys and arguments of the script's call."""
        _, target, order = items[0]
        operation, here = order.operation, (target.tag, id(order.operation))
        fresh = not operation.explicit and here not in known
        known.add(here)
        keys.append(self._keys.operation(target.tag, operation.name))
        args += (len(items), operation.digest, operation.ttl_ms, int(fresh))
        for _, target, order in items:
            message = order.message
            expires = "-" if message.expires_at is None else message.expires_at
            keys.append(self._keys.stream(target.tag, target.stream))
            args += (
                "e" if message.state is None else "b" if message.is_event else "s",
                f"{order.name}:{target.stream}",
                target.stream,
                target.where,
                message.payload,
                f"{order.origin.now_us} {order.origin.traceparent} {expires}",
            )
            if message.state is not None:
                self._append_state(keys, args, target, order)

    def _append_state(self, keys: list[str], args: list[Argument], target: Target, order: Order) -> None:
        state = order.message.state
        assert state is not None
        table = self._keys.states(target.tag, target.stream)
        keys += (table.table, table.revisions, table.expiries)
        ttl_ms = FINAL_STATE_TTL * 1000 if state.mark == "f" else self._state_ttl_ms
        args += (target.state_channel, str(state.video_id), f"{state.stamp_us} {state.mark} {ttl_ms}", order.owner)


@lru_cache(maxsize=8192)  # about 5 MB: some users are written to again and again
def _user_target(user: str) -> Target:
    return Target(bucket(user), user_stream(user), user, "", label=f"user:{user}")


def _outcomes(
    orders: Sequence[Order], calls: list[list[_Item]], replies: list[list[_Reply]]
) -> list[Outcome | KeyReused]:
    outcomes: list[Outcome | KeyReused] = [Outcome({}, 0, online=False) for _ in orders]
    nodes: dict[int, set[bytes]] = {}  # of orders to several users: the distinct nodes seen
    for items, reply in zip(calls, replies, strict=True):
        for (index, target, order), (status, position, online, places) in zip(items, reply, strict=True):
            outcome = outcomes[index]
            if isinstance(outcome, KeyReused):
                continue
            if status == b"conflict":
                outcomes[index] = KeyReused()
                continue
            if position != b"-":
                outcome.ids[target.label] = f"{target.stream}.{position.decode()}"
            if online:
                outcome.online = True
            seen = nodes.setdefault(index, set()) if len(order.targets) > 1 else None
            outcome.nodes = max(outcome.nodes, _count(places, seen))
    for order, outcome in zip(orders, outcomes, strict=True):
        if len(order.targets) > 1 and isinstance(outcome, Outcome):  # ids in the order of the audiences
            ids = outcome.ids
            outcome.ids = {target.label: ids[target.label] for target in order.targets if target.label in ids}
    return outcomes


def _count(places: bytes | int, seen: set[bytes] | None) -> int:
    """Return how many nodes an order reached so far: live ones for a shared stream, else the distinct ones seen."""
    if isinstance(places, int):
        return places
    if places.isdigit():
        return int(places)
    if seen is None:
        return places.count(b"=")
    seen.update(place.partition(b"=")[0] for place in places.split(b" ")[1:])
    return len(seen)
