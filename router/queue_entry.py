"""An entry of the queue as a producer writes it, and the call that it stands for.

| field | what |
| --- | --- |
| ``kind`` | ``notifications`` or ``messages``: the call whose body this is |
| ``body`` | the same JSON |
| ``key`` | idempotency key; without one (here, or in the body) the entry's own id is the key |
| ``traceparent`` | the producer's trace, W3C |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from router.callers import ALL_SCOPES, Caller
from router.lean_route import Call
from router.operations import KEY_MAX_LENGTH, Operation, digest_of
from router.placement import operation_of
from shared.errors import InvalidMessage

QUEUE: Final = Caller("queue", ALL_SCOPES, "queue")  # whoever may write to Redis may publish
KINDS: Final = ("notifications", "messages")
_FIELDS: Final = frozenset({"kind", "body", "key", "traceparent"})
_BY_ID: Final = "queue-entry"  # whose keys entries' ids are: no key that a producer chooses can be one
_MAX_US: Final = 2**53 - 1


class Entry(NamedTuple):
    """An entry as it was taken.

    Attributes:
        fields: names and values in turn; empty if there were too many bytes of them.
        size: bytes of all fields.
    """

    id: str
    fields: Sequence[bytes]
    size: int

    @property
    def appended_us(self) -> int:
        """When it was appended, µs since the Unix epoch, on Redis's clock; later for what came later."""
        ms, _, number = self.id.partition("-")
        return min(int(ms) * 1000 + min(int(number), 999), _MAX_US)


def call_of(entry: Entry) -> Call:
    """Return the call that an entry stands for.

    Raises:
        InvalidMessage: names the field.
    """
    values = {_text(name): value for name, value in zip(entry.fields[::2], entry.fields[1::2], strict=True)}
    for name in values.keys() - _FIELDS:
        raise _invalid(name[:64], f"there is no such field, only {', '.join(sorted(_FIELDS))}")
    for name in ("kind", "body"):
        if name not in values:
            raise _invalid(name, "Field required")
    kind = _text(values["kind"])
    if kind not in KINDS:
        raise _invalid("kind", f"Input should be {' or '.join(map(repr, KINDS))}")
    headers = {}
    if "key" in values:
        headers[b"idempotency-key"] = _checked_key(values["key"])
    if "traceparent" in values:
        headers[b"traceparent"] = values["traceparent"]
    return Call(f"/api/v1/{kind}", headers, values["body"])


def operation_for(entry: Entry, call: Call, in_body: str | None) -> Operation:
    """Return the operation: under the key that the producer gave, else under the entry's id.

    Raises:
        InvalidMessage: the key in the body is none.
    """
    if b"idempotency-key" in call.headers:
        return operation_of(QUEUE, call)  # the entry's own counts before one in the body
    if in_body is None:
        return Operation(_BY_ID, entry.id, digest_of(call.path, call.body), explicit=True)
    return operation_of(QUEUE, call, in_body)


def _checked_key(value: bytes) -> bytes:
    if not 0 < len(value) <= KEY_MAX_LENGTH or not value.isascii() or not value.decode().isprintable():
        raise _invalid("key", f"1 to {KEY_MAX_LENGTH} printable ASCII characters")
    return value


def _invalid(field: str, reason: str) -> InvalidMessage:
    return InvalidMessage(field, reason, "entry")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
