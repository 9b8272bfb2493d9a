"""What HTTP calls and the queue share: a parsed call becomes a draft, and drafts are placed.

HTTP, one message ──┐
HTTP, a batch ──────┼──▶ Draft ──▶ place: volume, idempotency keys, the publish script ──▶ Outcome or KeyReused
the queue ──────────┘
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, Final

from pydantic_core import to_json

from router import bodies
from router.callers import Caller
from router.lean_route import Call
from router.operations import KeyReused, Operation, Origin, claim, digest_of, key_in_body, key_in_header, made_key
from router.order import Order, Outcome
from router.planning import Plan, Planner
from router.publish_counts import PublishCounts
from router.publisher import Publisher
from shared.errors import InvalidMessage, RealtimeError, RedisError, RedisRefused
from shared.keys import Keys
from shared.link import Link
from shared.messages import Message

VOLUME_MAX: Final = 64 * 1024 * 1024  # bytes; the largest message to the most users that one message may have


class VolumeTooLarge(RealtimeError):
    """A call's messages, counted once for each user they go to, have too many bytes."""

    def __init__(self, volume: int) -> None:
        self.volume = volume
        super().__init__(volume)

    def __str__(self) -> str:
        return (
            f"together {self.volume} bytes, messages counted for each user they go to, are more than {VOLUME_MAX}: "
            "send them in several calls"
        )


@dataclass(slots=True)
class Draft(Order):
    """An order before its key is claimed: an earlier call under the key may have fixed its trace and time.

    Attributes:
        remake: makes its message as of a time, µs since the Unix epoch; None: there is no key to claim.
    """

    remake: Callable[[int], Message] | None = None

    @property
    def volume(self) -> int:
        """The message's bytes times its audiences: it is kept in the history of each."""
        return len(self.message.payload) * len(self.targets)

    def begin_as(self, origin: Origin) -> None:
        """Take over trace and time of the first call under this key."""
        if origin != self.origin and self.remake is not None:
            self.origin, self.message = origin, self.remake(origin.now_us)


class Placement:
    """Drafts and places messages, whichever way they came.

    Attributes:
        notifications, messages: read the two kinds of requests.
    """

    def __init__(
        self, publisher: Publisher, link: Link, keys: Keys, counts: PublishCounts, *, message_max_bytes: int
    ) -> None:
        self._publisher, self._link, self._keys, self._counts = publisher, link, keys, counts
        self.notifications = Planner(bodies.Notification, bodies.NotificationBatch, publisher, message_max_bytes)
        self.messages = Planner(bodies.MessageRequest, bodies.MessageBatch, publisher, message_max_bytes)
        self._last_us = 0

    def draft(self, plan: Plan, planner: Planner, operation: Operation, traceparent: str) -> Draft:
        """Make the draft of a call's one message.

        Raises:
            InvalidMessage, MessageTooLarge: the message is not one that may be sent.
        """
        origin = Origin(traceparent, self.rising_us())
        message = planner.make(plan, origin.now_us)
        remake = partial(planner.make, plan) if operation.explicit else None
        return Draft(message, plan.targets, operation, origin, plan.owner, remake=remake)

    async def place(self, drafts: Sequence[Draft]) -> list[Outcome | KeyReused]:
        """Publish, and return what became of each draft; what was accepted is counted.

        Raises:
            VolumeTooLarge: nothing was done.
            RedisError: nothing or a part was done; the same drafts, or others under the same keys, complete it.
        """
        _check_volume(drafts)
        reused = await self._claim(drafts)
        orders = [draft for index, draft in enumerate(drafts) if index not in reused] if reused else drafts
        outcomes = await self._publish(orders)
        self._counts.add(
            order for order, outcome in zip(orders, outcomes, strict=True) if not isinstance(outcome, KeyReused)
        )
        if not reused:
            return outcomes
        placed = iter(outcomes)
        return [KeyReused() if index in reused else next(placed) for index in range(len(drafts))]

    async def first_origin(self, operation: Operation, fresh: Origin) -> Origin:
        """Claim a key; return the origin of the first call under it.

        Raises:
            KeyReused: it was used before, with another body.
        """
        try:
            origin = await claim(self._link, self._keys, operation, fresh)
        except KeyReused:
            self._counts.keys["conflict"] += 1
            raise
        self._counts.keys["replayed"] += origin != fresh
        return origin

    def rising_us(self, count: int = 1) -> int:
        """Return the first of ``count`` consecutive times, µs, for messages whose producer gave none.

        Taken from Redis's clock, so that routers agree, and strictly rising, so that messages keep their order here.
        """
        first = max(self._last_us + 1, self._link.server_us())
        self._last_us = first + count - 1
        return first

    async def _claim(self, drafts: Sequence[Draft]) -> set[int]:
        """Claim the drafts' keys; return the indexes of drafts whose key was used before with another body."""
        own = [index for index, draft in enumerate(drafts) if draft.remake is not None]
        # Most calls have a single key, which needs no task.
        work = [self._claim_one(drafts[index]) for index in own]
        outcomes = [await work[0]] if len(work) == 1 else await asyncio.gather(*work, return_exceptions=True)
        reused = set()
        for index, outcome in zip(own, outcomes, strict=True):
            if isinstance(outcome, KeyReused):
                reused.add(index)
            elif outcome is not None:
                raise outcome
        return reused

    async def _claim_one(self, draft: Draft) -> KeyReused | None:
        try:
            draft.begin_as(await self.first_origin(draft.operation, draft.origin))
        except KeyReused as exc:
            return exc
        return None

    async def _publish(self, orders: Sequence[Order]) -> list[Outcome | KeyReused]:
        began_at = perf_counter()
        try:
            outcomes = await self._publisher.publish(orders)
        except RedisError as exc:
            why = "refused" if isinstance(exc, RedisRefused) else "away"
            self._counts.calls[why].add(perf_counter() - began_at)
            raise
        self._counts.calls[""].add(perf_counter() - began_at)
        return outcomes


def _check_volume(drafts: Iterable[Draft]) -> None:
    """Refuse a call whose messages would be kept in too many copies."""
    volume = sum([len(draft.message.payload) * len(draft.targets) for draft in drafts])
    if volume > VOLUME_MAX:
        raise VolumeTooLarge(volume)


def operation_of(caller: Caller, call: Call, in_body: str | None = None) -> Operation:
    """Return the call's operation: under the key in its header or its body, else under a fresh one.

    Raises:
        InvalidMessage: the key is not valid, or header and body have different ones.
    """
    if call.keys_differ:
        raise InvalidMessage("Idempotency-Key", "given more than once, and not alike", "header")
    digest, in_header = digest_of(call.path, call.body), call.header(b"idempotency-key")
    if in_header is not None:
        if in_body not in (None, in_header):
            raise InvalidMessage("Idempotency-Key", "is another key than idempotency_key in the body", "header")
        return Operation(caller.name, key_in_header(in_header), digest, explicit=True)
    if in_body is not None:
        return Operation(caller.name, key_in_body(in_body), digest, explicit=True)
    return Operation(caller.name, made_key(), digest, explicit=False)


def item_operation(caller: Caller, path: str, key: str, item: dict[str, Any]) -> Operation:
    """Return the operation of a batch's item with a key of its own; raises ``InvalidMessage``."""
    body = to_json({name: value for name, value in item.items() if name != "idempotency_key"})
    return Operation(caller.name, key_in_body(key), digest_of(path, body), explicit=True)
