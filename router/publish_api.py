"""The four publishing calls: from bytes to an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from router import bodies
from router.callers import Callers
from router.lean_route import Call
from router.metrics import RouterMetrics
from router.operations import Origin, check_key, claim, digest_of, made_key, traceparent
from router.publisher import (
    EXPLICIT_KEY_TTL_MS,
    MADE_KEY_TTL_MS,
    KeyReused,
    Operation,
    Order,
    Outcome,
    Publisher,
    Target,
)
from shared.errors import InvalidMessage, RealtimeError, RedisError
from shared.keys import Keys
from shared.messages import TYPED, Message, expiry_ms, prepare, stamp
from shared.redis_link import RedisLink

_NOTIFICATION: Final[TypeAdapter[Any]] = TypeAdapter(bodies.Notification)
_MESSAGE: Final = TypeAdapter(bodies.MessageRequest)
_BATCH: Final = TypeAdapter(bodies.Batch)


class MessageTooLarge(RealtimeError):
    def __init__(self, size: int, limit: int) -> None:
        self.size, self.limit = size, limit
        super().__init__(size, limit)

    def __str__(self) -> str:
        return f"message: {self.size} bytes are more than {self.limit}"


class PublishUnavailable(RealtimeError):
    """Redis did not answer. Nothing, or a part, was done; the same call with ``operation_key`` completes it."""

    def __init__(self, operation_key: str) -> None:
        self.operation_key = operation_key
        super().__init__(operation_key)

    def __str__(self) -> str:
        return "Redis does not answer just now; repeat the call within 15 minutes, operation_key as its Idempotency-Key"


@dataclass(frozen=True, slots=True)
class _Plan:
    """A checked request: its message can be made for any time, its audience is known."""

    make: Callable[[int], Message]
    targets: Sequence[Target]
    owner: str = ""
    key: str | None = None


@dataclass(slots=True)
class _Item:
    """One item of a batch on its way."""

    index: int
    plan: _Plan
    message: Message
    operation: Operation
    origin: Origin


class PublishApi:
    def __init__(
        self,
        callers: Callers,
        publisher: Publisher,
        link: RedisLink,
        keys: Keys,
        metrics: RouterMetrics,
        *,
        message_max_bytes: int,
    ) -> None:
        self._callers, self._publisher, self._link, self._keys = callers, publisher, link, keys
        self._metrics = metrics
        self._message_max = message_max_bytes
        self._last_us = 0

    async def notification(self, call: Call) -> tuple[int, bytes]:
        """Publish one typed message.

        Transcode messages go to the admin pool, and to the video's owner if `user_id` names one;
        a `system_message` goes to its `target`.
        """
        return await self._single(
            call, lambda: self._plan_notification(_NOTIFICATION.validate_python(_parse(call.body)))
        )

    async def message(self, call: Call) -> tuple[int, bytes]:
        """Publish a custom or typed message to any audience."""
        return await self._single(call, lambda: self._plan_message(_MESSAGE.validate_python(_parse(call.body))))

    async def notification_batch(self, call: Call) -> tuple[int, bytes]:
        """Publish up to 1,000 typed messages; a bad item is reported at its place and harms no other."""
        return await self._batch(call, lambda item: self._plan_notification(_NOTIFICATION.validate_python(item)))

    async def message_batch(self, call: Call) -> tuple[int, bytes]:
        """Publish up to 1,000 custom or typed messages; a bad item is reported at its place and harms no other."""
        return await self._batch(call, lambda item: self._plan_message(_MESSAGE.validate_python(item)))

    # --- one message

    async def _single(self, call: Call, plan_it: Callable[[], _Plan]) -> tuple[int, bytes]:
        caller = await self._callers.allow(call.header(b"authorization"), "publish")
        plan = plan_it()
        given = call.header(b"idempotency-key")
        given = plan.key if given is None else given
        key = check_key(given) if given is not None else made_key()
        origin = Origin(traceparent(call.header(b"traceparent")), self._rising_us())
        message = self._make(plan, origin)
        operation = _operation(caller.name, key, digest_of(call.path, call.body), message, explicit=given is not None)
        try:
            if given is not None:
                origin = await claim(self._link, self._keys, caller.name, key, operation.digest, origin)
                message = self._make(plan, origin)
            (outcome,) = await self._publisher.publish([self._order(plan, message, operation, origin)])
        except RedisError as exc:
            self._metrics.unavailable += 1
            raise PublishUnavailable(key) from exc
        if isinstance(outcome, KeyReused):
            raise outcome
        self._metrics.count_publish(message.type)
        return 202, to_json(_answer(outcome, plan, origin))

    # --- many

    async def _batch(self, call: Call, plan_it: Callable[[dict[str, Any]], _Plan]) -> tuple[int, bytes]:
        caller = await self._callers.allow(call.header(b"authorization"), "publish")
        batch = _BATCH.validate_python(_parse(call.body))
        given = call.header(b"idempotency-key")
        key = check_key(given) if given is not None else made_key()
        trace = traceparent(call.header(b"traceparent"))
        whole = digest_of(call.path, call.body)
        results: list[dict[str, Any]] = [{}] * len(batch.items)
        items: list[_Item] = []
        for index, fields in enumerate(batch.items):
            try:
                plan = plan_it(fields)
                origin = Origin(trace, self._rising_us())
                message = self._make(plan, origin)
                name = check_key(plan.key) if plan.key is not None else f"{key}:{index}"
                explicit = plan.key is not None or given is not None
                digest = whole if plan.key is None else _item_digest(call.path, fields)
                operation = _operation(caller.name, name, digest, message, explicit=explicit)
            except (ValidationError, InvalidMessage) as exc:
                results[index] = {"status": 422, "detail": explain(exc)}
            except MessageTooLarge as exc:
                results[index] = {"status": 413, "detail": str(exc)}
            else:
                items.append(_Item(index, plan, message, operation, origin))
        try:
            items = await self._claim(caller.name, items, results)
            outcomes = await self._publisher.publish(
                [self._order(item.plan, item.message, item.operation, item.origin) for item in items]
            )
        except RedisError as exc:
            self._metrics.unavailable += 1
            raise PublishUnavailable(key) from exc
        for item, outcome in zip(items, outcomes, strict=True):
            if isinstance(outcome, KeyReused):
                results[item.index] = {"status": 409, "detail": str(outcome)}
            else:
                self._metrics.count_publish(item.message.type)
                results[item.index] = {"status": 202, **_answer(outcome, item.plan, item.origin)}
        return 200, to_json({"results": results})

    async def _claim(self, caller: str, items: list[_Item], results: list[dict[str, Any]]) -> list[_Item]:
        """Claim the keys that items, or the call, bring; what was claimed with another body is answered at once."""
        explicit = [item for item in items if item.operation.ttl_ms == EXPLICIT_KEY_TTL_MS]
        claims = await asyncio.gather(
            *(
                claim(self._link, self._keys, caller, item.operation.key, item.operation.digest, item.origin)
                for item in explicit
            ),
            return_exceptions=True,
        )
        reused = set()
        for item, first in zip(explicit, claims, strict=True):
            if isinstance(first, KeyReused):
                results[item.index] = {"status": 409, "detail": str(first)}
                reused.add(item.index)
            elif isinstance(first, BaseException):
                raise first
            elif first != item.origin:
                item.origin, item.message = first, self._make(item.plan, first)
        return [item for item in items if item.index not in reused]

    # --- what both need

    def _plan_notification(self, request: Any) -> _Plan:
        ends = expiry_ms(request.expires_at)
        if isinstance(request, bodies.SystemNotification):
            targets = self._targets(request.target)
            return _Plan(lambda now_us: stamp(request, now_us=now_us, ends=ends), targets, key=request.idempotency_key)
        sent_at, owner = request.sent_at, request.user_id or ""
        targets = [self._publisher.admin, *([self._publisher.user(owner)] if owner else [])]
        return _Plan(
            lambda now_us: stamp(request, now_us=now_us, sent_at=sent_at, ends=ends),
            targets,
            owner,
            request.idempotency_key,
        )

    def _plan_message(self, request: bodies.MessageRequest) -> _Plan:
        def make(now_us: int) -> Message:
            try:
                return prepare(request.message, now_us=now_us, sent_at=request.sent_at, expires_at=request.expires_at)
            except InvalidMessage as exc:
                raise InvalidMessage(f"message.{exc.field}", exc.reason) from exc

        targets = self._targets(request.audience)
        owner = targets[0].where if isinstance(request.audience, bodies.Users) and len(targets) == 1 else ""
        return _Plan(make, targets, owner, request.idempotency_key)

    def _targets(self, audience: bodies.Audience) -> Sequence[Target]:
        if isinstance(audience, bodies.Users):
            return self._publisher.users(audience.users)
        return (self._publisher.admin,) if audience == "admin" else (self._publisher.all,)

    def _rising_us(self) -> int:
        """Return the time by which messages without their producer's are ordered.

        Redis's clock, so that two routers agree; rising, so that what comes later here is later.
        """
        self._last_us = max(self._last_us + 1, self._link.server_us())
        return self._last_us

    def _make(self, plan: _Plan, origin: Origin) -> Message:
        message = plan.make(origin.now_us)
        size = len(message.payload) + 1  # its closing brace
        if size > self._message_max:
            raise MessageTooLarge(size, self._message_max)
        return message

    @staticmethod
    def _order(plan: _Plan, message: Message, operation: Operation, origin: Origin) -> Order:
        return Order(message, plan.targets, operation, origin.traceparent, origin.now_us, plan.owner)


def _operation(caller: str, key: str, digest: str, message: Message, *, explicit: bool) -> Operation:
    # A state said twice is the same state: a key of our own making would be remembered for nothing.
    made_ttl = MADE_KEY_TTL_MS if message.is_event else 0
    return Operation(caller, key, digest, EXPLICIT_KEY_TTL_MS if explicit else made_ttl, fresh=not explicit)


def _item_digest(path: str, fields: dict[str, Any]) -> str:
    return digest_of(path, to_json({name: value for name, value in fields.items() if name != "idempotency_key"}))


def _answer(outcome: Outcome, plan: _Plan, origin: Origin) -> dict[str, Any]:
    first = plan.targets[0].label
    return {
        "id": outcome.ids.get(first),
        "ids": outcome.ids,
        "nodes": outcome.nodes,
        "online": outcome.online,
        "trace_id": origin.trace_id,
    }


def explain(exc: ValidationError | InvalidMessage) -> list[dict[str, Any]]:
    """Return what is wrong in FastAPI's form: where, and why."""
    if isinstance(exc, InvalidMessage):
        return [{"type": "value_error", "loc": ["body", *filter(None, exc.field.split("."))], "msg": exc.reason}]
    return [
        {
            "type": error["type"],
            "loc": ["body", *_path(error["loc"])],
            "msg": error["msg"].removeprefix("Value error, "),
        }
        for error in exc.errors(include_url=False, include_context=False, include_input=False)
    ]


def _path(loc: tuple[int | str, ...]) -> list[int | str]:
    """Leave out the parts of a path that name a model of ours and not a field of the caller's."""
    return [part for part in loc if part not in _MODEL_NAMES]


_MODEL_NAMES: Final = frozenset({*TYPED, "Users", "literal['admin','all']", "str", "int", "float"})


def _parse(body: bytes) -> Any:
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as exc:
        raise InvalidMessage("", f"not JSON in UTF-8: {exc}") from exc
