"""The four publishing calls: from bytes to an answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from pydantic import ValidationError
from pydantic_core import to_json

from router.call_log import CallLog
from router.callers import Caller, Callers
from router.lean_route import Call
from router.operations import KeyReused, Operation, Origin
from router.order import Order, Outcome
from router.placement import Draft, Placement, item_operation, operation_of
from router.planning import MessageTooLarge, Plan, Planner, explain
from router.publish_counts import PublishCounts
from router.sending import Sending
from shared.errors import InvalidMessage, RealtimeError, RedisError, RedisRefused
from shared.trace_context import continued


class PublishUnavailable(RealtimeError):
    """Redis failed. Nothing, or a part, was published; the same call under ``operation_key`` completes it.

    Attributes:
        refused: Redis answered, but with an error: it is out of memory or read-only, for example.
    """

    def __init__(self, operation_key: str, *, refused: bool = False) -> None:
        self.operation_key, self.refused = operation_key, refused
        super().__init__(operation_key, refused)

    def __str__(self) -> str:
        why = "refuses to write" if self.refused else "does not answer"
        return f"Redis {why} just now; repeat the call within 15 minutes, operation_key as its Idempotency-Key"


class _Batch(NamedTuple):
    """What the items of a batch share.

    Attributes:
        operation: of the items without a key of their own.
        origin: of the first item; each further one is 1 µs later.
    """

    caller: Caller
    path: str
    operation: Operation
    origin: Origin


class PublishApi:
    def __init__(self, callers: Callers, placement: Placement, counts: PublishCounts, log: CallLog) -> None:
        self._callers, self._placement, self._counts, self._log = callers, placement, counts, log

    async def notification(self, call: Call) -> tuple[int, bytes]:
        """Publish one typed message.

        Transcode messages go to the admin pool, and to the video's owner if `user_id` names one;
        a `system_message` goes to its `target`.
        """
        return await self._single(call, self._placement.notifications)

    async def message(self, call: Call) -> tuple[int, bytes]:
        """Publish a custom or typed message to any audience."""
        return await self._single(call, self._placement.messages)

    async def notification_batch(self, call: Call) -> tuple[int, bytes]:
        """Publish up to 1,000 typed messages; a bad item is reported at its place and harms no other."""
        return await self._batch(call, self._placement.notifications)

    async def message_batch(self, call: Call) -> tuple[int, bytes]:
        """Publish up to 1,000 custom or typed messages; a bad item is reported at its place and harms no other."""
        return await self._batch(call, self._placement.messages)

    # --- one message

    async def _single(self, call: Call, planner: Planner) -> tuple[int, bytes]:
        caller = await self._callers.allow(call.header(b"authorization"), "publish")
        plan = planner.read_one(call.body)
        operation = operation_of(caller, call, plan.key)
        sending = None if call.trace is None else Sending(call.trace)
        draft = self._placement.draft(plan, planner, operation, _traceparent(call, sending))
        try:
            (outcome,) = await self._placement.place([draft])
        except RedisError as exc:
            raise self._unavailable(operation, exc) from exc
        if isinstance(outcome, KeyReused):
            raise outcome
        if sending is not None:
            sending.sent([draft], [outcome], batch=False)
        self._log.published(call, caller, draft, outcome)
        return 202, to_json(_answer(outcome, draft))

    def _unavailable(self, operation: Operation, exc: RedisError) -> PublishUnavailable:
        refused = isinstance(exc, RedisRefused)
        self._counts.unavailable["refused" if refused else "away"] += 1
        return PublishUnavailable(operation.key, refused=refused)

    # --- many

    async def _batch(self, call: Call, planner: Planner) -> tuple[int, bytes]:
        caller = await self._callers.allow(call.header(b"authorization"), "publish")
        items, plans = planner.read_many(call.body)
        whole = operation_of(caller, call)
        try:
            sending = None if call.trace is None else Sending(call.trace)
            base = Origin(_traceparent(call, sending), self._placement.rising_us(len(plans)))
            if whole.explicit:
                base = await self._placement.first_origin(whole, base)
            drafts, results = _draft_items(_Batch(caller, call.path, whole, base), planner, items, plans)
            del items, plans  # freed now, while they are in the CPU's cache, and not when Redis has answered
            outcomes = await self._placement.place(list(drafts.values()))
        except RedisError as exc:
            raise self._unavailable(whole, exc) from exc
        if sending is not None:
            sending.sent(list(drafts.values()), outcomes, batch=True)
        published = _answer_items(results, drafts, outcomes)
        self._counts.add_results(results, len(published))
        self._log.batch_published(call, caller, len(results), base.trace_id, published)
        return 200, to_json({"results": results})


def _draft_items(
    batch: _Batch, planner: Planner, items: Sequence[Any], plans: Sequence[Plan | Exception]
) -> tuple[dict[int, Draft], list[dict[str, Any]]]:
    """Return the drafts by their items' index, and a result for each item: so far, what is wrong with it."""
    caller, path, operation, origin = batch
    traceparent, first_us = origin
    drafts: dict[int, Draft] = {}
    results: list[dict[str, Any]] = [{}] * len(plans)
    for index, plan in enumerate(plans):
        try:
            if isinstance(plan, Exception):
                raise plan
            message = planner.make(plan, first_us + index)
            _, targets, owner, key = plan
            if key is None:
                drafts[index] = Draft(message, targets, operation, origin, owner, str(index))
            else:
                own = item_operation(caller, path, key, items[index])
                began, remake = Origin(traceparent, first_us + index), partial(planner.make, plan)
                drafts[index] = Draft(message, targets, own, began, owner, remake=remake)
        except (ValidationError, InvalidMessage) as exc:
            results[index] = {"status": 422, "detail": explain(exc)}
        except MessageTooLarge as exc:
            results[index] = {"status": 413, "detail": str(exc)}
    return drafts, results


def _answer_items(
    results: list[dict[str, Any]], drafts: dict[int, Draft], outcomes: Sequence[Outcome | KeyReused]
) -> list[tuple[Order, Outcome]]:
    """Fill in the results of the items that were placed; return those that were published."""
    published: list[tuple[Order, Outcome]] = []
    for (index, draft), outcome in zip(drafts.items(), outcomes, strict=True):
        if isinstance(outcome, KeyReused):
            results[index] = _REUSED
        else:
            results[index] = {"status": 202, **_answer(outcome, draft)}
            published.append((draft, outcome))
    return published


def _traceparent(call: Call, sending: Sending | None) -> str:
    """Return the ``traceparent`` of the call's messages: that of its span, else the caller's or a fresh one."""
    return continued(call.header(b"traceparent") if sending is None else sending.traceparent)


_REUSED: Final = {"status": 409, "detail": str(KeyReused())}


def _answer(outcome: Outcome, order: Order) -> dict[str, Any]:
    return {
        "id": outcome.ids.get(order.targets[0].label),
        "ids": outcome.ids,
        "nodes": outcome.nodes,
        "online": outcome.online,
        "trace_id": order.origin.trace_id,
    }
