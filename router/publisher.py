"""The way of a message from the router into Redis.

Every audience is a stream in one hash tag. One script call per tag orders the messages of a call, keeps them and hands
them to the nodes; the calls of all tags leave together. Each is idempotent by (caller, key, stream), so that a retry
with the same key completes what a fault cut off and doubles nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from shared.errors import OutcomeUnknown, RealtimeError
from shared.ids import ADMIN, ALL, user_stream
from shared.keys import SHARED_TAG, Keys, bucket
from shared.messages import FINAL_STATE_TTL, Message
from shared.redis_link import Argument, RedisLink
from shared.scripts import PUBLISH, Scripts
from shared.tasks import all_of

_ITEMS_PER_CALL: Final = 100  # about 1 ms of Redis: others are served in between
EXPLICIT_KEY_TTL_MS: Final = 24 * 3600 * 1000
MADE_KEY_TTL_MS: Final = 900_000  # a key made by the router serves to complete a call that was answered 503


class KeyReused(RealtimeError):
    """The idempotency key was used before, with another body."""

    def __str__(self) -> str:
        return "this idempotency key was used with another body"


@dataclass(frozen=True, slots=True)
class Target:
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


@dataclass(frozen=True, slots=True)
class Operation:
    """What makes a publish repeatable: whose key, for which body, remembered how long (0: not at all).

    Attributes:
        fresh: the router has just made the key, so that nobody can have used it.
    """

    caller: str
    key: str
    digest: str
    ttl_ms: int
    fresh: bool

    def for_stream(self, stream: str) -> str:
        return blake2b(f"{self.caller}\0{self.key}\0{stream}".encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Order:
    """A message, the streams it goes to, and what the answer needs."""

    message: Message
    targets: Sequence[Target]
    operation: Operation
    traceparent: str
    published_us: int
    owner: str = ""


@dataclass(slots=True)
class Outcome:
    """What became of an order; ``nodes`` counts distinct nodes."""

    ids: dict[str, str]
    nodes: int
    online: bool


_Item = tuple[int, Target, Order]


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
        return Target(bucket(user), user_stream(user), user, "", label=f"user:{user}")

    def users(self, users: Iterable[str]) -> list[Target]:
        return [self.user(user) for user in dict.fromkeys(users)]

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
        return self._outcomes(orders, calls, await all_of(*map(self._call, calls)))

    async def _call(self, items: list[_Item]) -> list[Any]:
        tag = items[0][1].tag
        keys, args = self._head(tag)
        for _, target, order in items:
            self._append(keys, args, target, order)
        reply: list[Any] = await self._scripts.run(self._link, PUBLISH, keys, args)
        if reply[0] == b"late":
            raise OutcomeUnknown("Redis was too slow")
        return reply

    def _head(self, tag: str) -> tuple[list[str], list[Argument]]:
        k, shared = self._keys, tag == SHARED_TAG
        places, totals = (k.leases, k.totals) if shared else (k.users(tag), k.users(tag))
        deadline = self._link.server_ms() + int(self._link.timeout * 1000)
        mode = "shared" if shared else "users"
        return (
            [k.seq(tag), places, totals],
            [deadline, mode, self._node_channels, self._lengths[shared], self._history_ttl_ms],
        )

    def _append(self, keys: list[str], args: list[Argument], target: Target, order: Order) -> None:
        message, operation, state = order.message, order.operation, order.message.state
        expires = "" if message.expires_at is None else str(message.expires_at)
        # A message without an operation record names some key that is there: keys of a call share one hash tag.
        record = self._keys.operation(target.tag, operation.for_stream(target.stream)) if operation.ttl_ms else keys[0]
        keys += (self._keys.stream(target.tag, target.stream), record)
        args += (
            "e" if state is None else "b" if message.is_event else "s",
            target.stream,
            target.where,
            message.payload,
            f"{order.published_us} {order.traceparent} {expires or '-'}",
            operation.digest,
            expires,
            operation.ttl_ms,
            int(operation.fresh),
        )
        if state is not None:
            table = self._keys.states(target.tag, target.stream)
            keys += (table.table, table.revisions, table.expiries)
            ttl_ms = FINAL_STATE_TTL * 1000 if state.mark == "f" else self._state_ttl_ms
            how = f"{state.stamp_us} {state.mark} {ttl_ms}"
            args += (target.state_channel, str(state.video_id), how, order.owner)

    @staticmethod
    def _outcomes(
        orders: Sequence[Order], calls: list[list[_Item]], replies: list[list[list[bytes | int]]]
    ) -> list[Outcome | KeyReused]:
        outcomes: list[Outcome | KeyReused] = [Outcome({}, 0, online=False) for _ in orders]
        places: list[set[bytes]] = [set() for _ in orders]
        found: dict[tuple[int, str], str] = {}
        for items, reply in zip(calls, replies, strict=True):
            for (index, target, _), (status, position, online, where) in zip(items, reply, strict=True):
                outcome = outcomes[index]
                if status == b"conflict" or isinstance(outcome, KeyReused):
                    outcomes[index] = KeyReused()
                    continue
                if position != b"-":
                    found[index, target.label] = f"{target.stream}.{position.decode()}"  # type: ignore[union-attr]
                outcome.online |= online == 1
                outcome.nodes = max(outcome.nodes, _count(where, places[index]))
        for index, order in enumerate(orders):
            outcome = outcomes[index]
            if isinstance(outcome, Outcome):
                labels = (target.label for target in order.targets)
                outcome.ids = {label: found[index, label] for label in labels if (index, label) in found}
        return outcomes


def _count(where: bytes | int, seen: set[bytes]) -> int:
    """Return how many nodes an order reached so far: live ones for a shared stream, else the distinct ones seen."""
    if isinstance(where, int):
        return where
    if where.isdigit():
        return int(where)
    seen.update(place.partition(b"=")[0] for place in where.split(b" ")[1:])
    return len(seen)
