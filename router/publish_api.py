"""The four publishing calls: from bytes to an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import to_json

from router import bodies
from router.call_log import CallLog
from router.callers import Caller, Callers
from router.lean_route import Call
from router.operations import (
    KeyReused,
    Operation,
    Origin,
    claim,
    digest_of,
    key_in_body,
    key_in_header,
    made_key,
)
from router.planning import MessageTooLarge, Plan, Planner, explain
from router.publish_counts import PublishCounts
from router.publisher import Order, Outcome, Publisher
from router.sending import Sending
from shared.errors import InvalidMessage, RealtimeError, RedisError, RedisRefused
from shared.keys import Keys
from shared.redis_link import RedisLink
from shared.trace_context import continued

VOLUME_MAX: Final = 64 * 1024 * 1024  # bytes; the largest message to the most users that one message may have


class PublishUnavailable(RealtimeError):
    """Redis did not do it. Nothing, or a part, was done; the same call with ``operation_key`` completes it.

    Attributes:
        refused: Redis answered, but with an error: it is out of memory or read-only, for example.
    """

    def __init__(self, operation_key: str, *, refused: bool = False) -> None:
        self.operation_key, self.refused = operation_key, refused
        super().__init__(operation_key, refused)

    def __str__(self) -> str:
        why = "refuses to write" if self.refused else "does not answer"
        return f"Redis {why} just now; repeat the call within 15 minutes, operation_key as its Idempotency-Key"


class VolumeTooLarge(RealtimeError):
    """A call's messages, counted once for each user they go to, are too much."""

    def __init__(self, volume: int) -> None:
        self.volume = volume
        super().__init__(volume)

    def __str__(self) -> str:
        return (
            f"together {self.volume} bytes, messages counted for each user they go to, are more than {VOLUME_MAX}: "
            "send them in several calls"
        )


class PublishApi:
    def __init__(
        self,
        callers: Callers,
        publisher: Publisher,
        link: RedisLink,
        keys: Keys,
        counts: PublishCounts,
        log: CallLog,
        *,
        message_max_bytes: int,
    ) -> None:
        self._callers, self._publisher, self._link, self._keys = callers, publisher, link, keys
        self._counts, self._log = counts, log
        self._notifications = Planner(bodies.Notification, bodies.NotificationBatch, publisher, message_max_bytes)
        self._messages = Planner(bodies.MessageRequest, bodies.MessageBatch, publisher, message_max_bytes)
        self._last_us = 0

    async def notification(self, call: Call) -> tuple[int, bytes]:
        """Publish one typed message.

        Transcode messages go to the admin pool, and to the video's owner if `user_id` names one;
        a `system_message` goes to its `target`.
        """
        return await self._single(call, self._notifications)

    async def message(self, call: Call) -> tuple[int, bytes]:
        """Publish a custom or typed message to any audience."""
        return await self._single(call, self._messages)

    async def notification_batch(self, call: Call) -> tuple[int, bytes]:
        """Publish up to 1,000 typed messages; a bad item is reported at its place and harms no other."""
        return await self._batch(call, self._notifications)

    async def message_batch(self, call: Call) -> tuple[int, bytes]:
        """Publish up to 1,000 custom or typed messages; a bad item is reported at its place and harms no other."""
        return await self._batch(call, self._messages)

    # --- one message

    async def _single(self, call: Call, planner: Planner) -> tuple[int, bytes]:
        caller = await self._callers.allow(call.header(b"authorization"), "publish")
        plan = planner.read_one(call.body)
        operation = _operation(caller, call, plan.key)
        sending = None if call.trace is None else Sending(call.trace)
        origin = Origin(_traceparent(call, sending), self._rising_us())
        order = Order(planner.make(plan, origin.now_us), plan.targets, operation, origin, plan.owner)
        _check_volume([order])
        try:
            if operation.explicit:
                await self._claim(order, plan, planner)
            (outcome,) = await self._publish([order])
        except RedisError as exc:
            raise self._unavailable(operation, exc) from exc
        if isinstance(outcome, KeyReused):
            raise outcome
        if sending is not None:
            sending.sent([order], [outcome], batch=False)
        self._counts.add(order)
        self._log.published(call, caller, order, outcome)
        return 202, to_json(_answer(outcome, order))

    async def _claim(self, order: Order, plan: Plan, planner: Planner) -> None:
        """Claim the key that the call, or the item, brings; if it was claimed before, be what the first call was."""
        origin = await self._first_origin(order.operation, order.origin)
        if origin != order.origin:
            order.origin, order.message = origin, planner.make(plan, origin.now_us)

    async def _first_origin(self, operation: Operation, fresh: Origin) -> Origin:
        """Claim a key, and count it if it was known."""
        try:
            origin = await claim(self._link, self._keys, operation, fresh)
        except KeyReused:
            self._counts.keys["conflict"] += 1
            raise
        self._counts.keys["replayed"] += origin != fresh
        return origin

    async def _publish(self, orders: list[Order]) -> list[Outcome | KeyReused]:
        began_at, error = perf_counter(), "away"
        try:
            outcomes = await self._publisher.publish(orders)
            error = ""
        except RedisRefused:
            error = "refused"
            raise
        finally:
            self._counts.calls[error].add(perf_counter() - began_at)
        return outcomes

    def _unavailable(self, operation: Operation, exc: RedisError) -> PublishUnavailable:
        refused = isinstance(exc, RedisRefused)
        self._counts.unavailable["refused" if refused else "away"] += 1
        return PublishUnavailable(operation.key, refused=refused)

    # --- many

    async def _batch(self, call: Call, planner: Planner) -> tuple[int, bytes]:
        caller = await self._callers.allow(call.header(b"authorization"), "publish")
        items, plans = planner.read_many(call.body)
        whole = _operation(caller, call)
        results: list[dict[str, Any]] = [{}] * len(plans)
        orders: dict[int, Order] = {}  # by the item's index
        try:
            sending = None if call.trace is None else Sending(call.trace)
            base = Origin(_traceparent(call, sending), self._rising_us(len(plans)))
            if whole.explicit:
                base = await self._first_origin(whole, base)
            for index, plan in enumerate(plans):
                try:
                    if isinstance(plan, Exception):
                        raise plan
                    origin = Origin(base.traceparent, base.now_us + index)
                    message = planner.make(plan, origin.now_us)
                    operation, name = whole, str(index)
                    if plan.key is not None:
                        operation, name = _item_operation(caller, call.path, plan.key, items[index]), "0"
                    orders[index] = Order(message, plan.targets, operation, origin, plan.owner, name)
                except (ValidationError, InvalidMessage) as exc:
                    results[index] = {"status": 422, "detail": explain(exc)}
                except MessageTooLarge as exc:
                    results[index] = {"status": 413, "detail": str(exc)}
            _check_volume(orders.values())
            for index in await self._reused(whole, orders, plans, planner):
                del orders[index]
                results[index] = _REUSED
            outcomes = await self._publish(list(orders.values()))
        except RedisError as exc:
            raise self._unavailable(whole, exc) from exc
        if sending is not None:
            sending.sent(list(orders.values()), outcomes, batch=True)
        published = []
        for (index, order), outcome in zip(orders.items(), outcomes, strict=True):
            if isinstance(outcome, KeyReused):
                results[index] = _REUSED
            else:
                self._counts.add(order)
                results[index] = {"status": 202, **_answer(outcome, order)}
                published.append(order)
        self._counts.add_results(result["status"] for result in results)
        self._log.batch_published(call, caller, len(items), base.trace_id, published)
        return 200, to_json({"results": results})

    async def _reused(
        self, whole: Operation, orders: dict[int, Order], plans: Sequence[Any], planner: Planner
    ) -> list[int]:
        """Claim the keys that items bring; return the items whose key came before with another body."""
        own = [index for index, order in orders.items() if order.operation is not whole]
        claims = (self._claim(orders[index], plans[index], planner) for index in own)
        outcomes = await asyncio.gather(*claims, return_exceptions=True)
        reused = []
        for index, outcome in zip(own, outcomes, strict=True):
            if isinstance(outcome, KeyReused):
                reused.append(index)
            elif outcome is not None:
                raise outcome
        return reused

    def _rising_us(self, count: int = 1) -> int:
        """Return the time by which messages without their producer's are ordered; ``count`` of them follow each other.

        Redis's clock, so that two routers agree; rising, so that what comes later here is later.
        """
        first = max(self._last_us + 1, self._link.server_us())
        self._last_us = first + count - 1
        return first


def _traceparent(call: Call, sending: Sending | None) -> str:
    """Return under which name the call's messages travel: its span's, else the caller's or a fresh one."""
    return continued(call.header(b"traceparent") if sending is None else sending.traceparent)


def _check_volume(orders: Iterable[Order]) -> None:
    """Refuse a call whose messages would be kept in too many copies: every user has a history of its own."""
    volume = sum(len(order.message.payload) * len(order.targets) for order in orders)
    if volume > VOLUME_MAX:
        raise VolumeTooLarge(volume)


_REUSED: Final = {"status": 409, "detail": str(KeyReused())}


def _operation(caller: Caller, call: Call, in_body: str | None = None) -> Operation:
    """Return the call's operation: under the key in its header, else the one in its body, else a fresh one."""
    digest, in_header = digest_of(call.path, call.body), call.header(b"idempotency-key")
    if in_header is not None:
        return Operation(caller.name, key_in_header(in_header), digest, explicit=True)
    if in_body is not None:
        return Operation(caller.name, key_in_body(in_body), digest, explicit=True)
    return Operation(caller.name, made_key(), digest, explicit=False)


def _item_operation(caller: Caller, path: str, key: str, item: dict[str, Any]) -> Operation:
    body = to_json({name: value for name, value in item.items() if name != "idempotency_key"})
    return Operation(caller.name, key_in_body(key), digest_of(path, body), explicit=True)


def _answer(outcome: Outcome, order: Order) -> dict[str, Any]:
    return {
        "id": outcome.ids.get(order.targets[0].label),
        "ids": outcome.ids,
        "nodes": outcome.nodes,
        "online": outcome.online,
        "trace_id": order.origin.trace_id,
    }
