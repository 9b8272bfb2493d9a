"""Turns a request into a plan: its audience, and how its message is made for a given time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json

from router import bodies
from router.loose_json import items_apart
from router.order import Target
from router.publisher import Publisher
from shared.errors import InvalidMessage, RealtimeError
from shared.invalid_input import told
from shared.messages import TYPED, Message, expiry_ms, prepare, stamp


class MessageTooLarge(RealtimeError):
    def __init__(self, size: int, limit: int) -> None:
        self.size, self.limit = size, limit
        super().__init__(size, limit)

    def __str__(self) -> str:
        return f"message: {self.size} bytes are more than {self.limit}"


class Plan(NamedTuple):
    """A checked request with its audience.

    Attributes:
        owner: the one user whom a transcode is about; empty if there is none.
        key: the item's own idempotency key.
    """

    request: Any
    targets: Sequence[Target]
    owner: str
    key: str | None


class Planner:
    """Parses requests and makes messages of them. There is one per kind of request."""

    def __init__(self, one: Any, many: Any, publisher: Publisher, message_max_bytes: int) -> None:
        self._one: TypeAdapter[Any] = TypeAdapter(one)
        self._many: TypeAdapter[Any] = TypeAdapter(many)
        self._publisher, self._message_max = publisher, message_max_bytes

    def read_one(self, body: bytes, sent_at: int | None = None) -> Plan:
        """Return the plan of a call's one message.

        Args:
            sent_at: the producer's time if the call does not tell it, µs since the Unix epoch.

        Raises:
            ValidationError, InvalidMessage: it is no such call.
        """
        request = self._one.validate_python(parse(body))
        if sent_at is not None:
            _set_time(request, sent_at)
        return self._plan(request)

    def read_many(self, body: bytes) -> tuple[list[Any], list[Plan | Exception]]:
        """Return the items as they were sent, and for each a plan or the error.

        Raises:
            ValidationError, InvalidMessage: it is no batch at all.
        """
        try:
            parsed = parse(body)
        except InvalidMessage:
            apart = items_apart(body, bodies.BATCH_MAX + 1)
            if apart is None:
                raise
            items = [_parsed(item) for item in _BATCH.validate_python({"items": apart}).items]
            return items, [self._try(item) for item in items]
        try:
            requests: list[Any] = self._many.validate_python(parsed).items
        except ValidationError:
            items = _BATCH.validate_python(parsed).items
            return items, [self._try(item) for item in items]
        return parsed["items"], [self._plan(request) for request in requests]

    def _try(self, item: Any) -> Plan | Exception:
        if isinstance(item, InvalidMessage):
            return item
        try:
            return self._plan(self._one.validate_python(item))
        except (ValidationError, InvalidMessage) as exc:
            return exc

    def _plan(self, request: Any) -> Plan:
        if isinstance(request, dict):  # a bodies.MessageRequest
            targets = self._targets(request["audience"])
            owner = targets[0].where if len(targets) == 1 and not targets[0].shared else ""
            # As Plan(…), at half its cost: there is one per message.
            return tuple.__new__(Plan, (request, targets, owner, request.get("idempotency_key")))
        if isinstance(request, bodies.SystemNotification):
            targets, owner = self._targets(request.target), ""
        else:
            owner = request.user_id or ""
            targets = [self._publisher.admin, *([self._publisher.user(owner)] if owner else [])]
        return Plan(request, targets, owner, request.idempotency_key)

    def _targets(self, audience: bodies.Audience) -> Sequence[Target]:
        if isinstance(audience, dict):
            return self._publisher.users(audience["users"])
        return (self._publisher.admin,) if audience == "admin" else (self._publisher.all,)

    def make(self, plan: Plan, now_us: int) -> Message:
        """Make the message as of a time, µs since the Unix epoch.

        Raises:
            InvalidMessage: names the field.
            MessageTooLarge: in JSON it has more bytes than a message may have.
        """
        request = plan.request
        message = _custom(request, now_us) if isinstance(request, dict) else _typed(request, now_us)
        size = len(message.payload) + 1  # its closing brace
        if size > self._message_max:
            raise MessageTooLarge(size, self._message_max)
        return message


def _set_time(request: Any, sent_at: int) -> None:
    """Set the producer's time in a request that may have one and does not."""
    if isinstance(request, dict):
        request["sent_at"] = sent_at if request.get("sent_at") is None else request["sent_at"]
    elif not isinstance(request, bodies.SystemNotification) and request.sent_at is None:
        request.sent_at = sent_at


def _custom(request: dict[str, Any], now_us: int) -> Message:
    sent_at, expires_at = request.get("sent_at"), request.get("expires_at")
    try:
        return prepare(request["message"], now_us=now_us, sent_at=sent_at, expires_at=expires_at)
    except InvalidMessage as exc:
        beside = exc.field == "expires_at" and expires_at is not None
        raise InvalidMessage(exc.field if beside else f"message.{exc.field}", exc.reason) from exc


def _typed(request: Any, now_us: int) -> Message:
    sent_at = None if isinstance(request, bodies.SystemNotification) else request.sent_at
    return stamp(request, now_us=now_us, sent_at=sent_at, ends=expiry_ms(request.expires_at))


def parse(body: bytes) -> Any:
    try:
        return from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError as exc:
        raise InvalidMessage("", f"cannot be read as JSON in UTF-8: {_sign(body) or exc}") from exc


def _sign(body: bytes) -> str | None:
    """Return what is wrong with a body that looks fine to its sender, by its first bytes."""
    return next((what for sign, what in _SIGNS.items() if body.startswith(sign)), None)


def _parsed(item: bytes) -> Any:
    """Return the parsed item, or the error that says why it cannot be parsed."""
    try:
        return parse(item)
    except InvalidMessage as exc:
        return exc


def explain(exc: ValidationError | InvalidMessage) -> list[dict[str, Any]]:
    """Return what is wrong in FastAPI's form: where, and why."""
    if isinstance(exc, InvalidMessage):
        return [{"type": "value_error", "loc": [exc.part, *filter(None, exc.field.split("."))], "msg": exc.reason}]
    return [_explain(error) for error in exc.errors(include_url=False, include_context=False, include_input=False)]


def _explain(error: ErrorDetails) -> dict[str, Any]:
    kind, message = error["type"], told(error["type"], error["msg"])
    # The last part of the path to a forbidden extra field is the caller's own name for it, whatever it is.
    own = error["loc"][-1:] if kind == "extra_forbidden" else ()
    loc = ["body", *_path(error["loc"][: len(error["loc"]) - len(own)]), *own]
    if kind in _WITHOUT_TYPE:  # pydantic reports the object, although it is the object's ``type`` that is wrong
        kind, message = _WITHOUT_TYPE[kind]
        loc.append("type")
    return {"type": kind, "loc": loc, "msg": message}


def _path(loc: tuple[int | str, ...]) -> list[int | str]:
    """Return the path without the parts that name a model of ours instead of a field of the caller's."""
    return [part for part in loc if part not in _MODEL_NAMES]


_SIGNS: Final = {
    b"\x1f\x8b": "it is compressed",
    b"\xef\xbb\xbf": "it begins with a byte order mark",
    b"\xff\xfe": "it is UTF-16",
    b"\xfe\xff": "it is UTF-16",
}
_MODEL_NAMES: Final = frozenset({*TYPED, "Users", "Name", "str", "int", "float"})
_WITHOUT_TYPE: Final = {
    "union_tag_not_found": ("missing", "Field required"),
    "union_tag_invalid": ("literal_error", f"Input should be one of {', '.join(map(repr, TYPED))}"),
}
_BATCH: Final = TypeAdapter(bodies.Batch)
