"""Logs and audits publishes that were accepted.

| message | line |
| --- | --- |
| completion, failure, system message, broadcast | one each, at INFO |
| progress | the newest of ten seconds at INFO, with the count; each one at DEBUG |
| to single users, to the admin pool | at DEBUG |
| a batch | one, with counts |

Progress comes two hundred times a second, and each value replaces the one before: it is worth logging that it flows,
not each value. Of the content only what identifies the transcode and its progress is logged.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from pydantic_core import from_json

from router.callers import Caller
from router.lean_route import Call
from router.order import Order, Outcome, Target
from shared import audit
from shared.audit import IDS_SHOWN, USERS_SHOWN, AuditEvent
from shared.ids import ADMIN, ALL
from shared.messages import TYPED

logger = logging.getLogger(__name__)

PROGRESS_INTERVAL: Final = 10.0  # s
_TYPE_MAX: Final = 64  # characters of a custom message's type


class CallLog:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._verbose = logger.isEnabledFor(logging.DEBUG)
        self._progress_due = float("-inf")
        self._progress_untold = 0
        self._typed: dict[str, Callable[[Order, Outcome], None]] = {
            "transcode_progress": self._progress,
            "transcode_complete": self._completion,
            "transcode_failed": self._failure,
            "system_message": self._system_message,
        }

    def published(self, call: Call, caller: Caller, order: Order, outcome: Outcome) -> None:
        """Log one message that was published; audit it if it is privileged."""
        kind, to_all = order.message.type, order.targets[0].stream == ALL
        if kind in self._typed:
            self._typed[kind](order, outcome)
        elif to_all:
            logger.info("broadcast sent", extra={"message_type": kind[:_TYPE_MAX], **_reached(order, outcome)})
        elif self._verbose:
            logger.debug("message sent", extra={"message_type": kind[:_TYPE_MAX], **_reached(order, outcome)})
        if _is_privileged(order):
            audit.write(_audited(call, caller, order, outcome))

    def batch_published(
        self, call: Call, caller: Caller, items: int, trace_id: str, published: Sequence[tuple[Order, Outcome]]
    ) -> None:
        """Log a batch; audit it if any of its published messages is privileged."""
        alike = Counter([(order.message.type, order.targets[0].shared) for order, _ in published])
        types: Counter[str] = Counter()
        for (kind, _), count in alike.items():
            types[kind if kind in TYPED else "custom"] += count
        broadcasts = sum(count for (_, shared), count in alike.items() if shared == ALL)
        accepted, system_messages = types.total(), types["system_message"]
        fields = {"items": items, "accepted": accepted, "trace_id": trace_id}
        logger.info("batch sent", extra={**fields, "types": dict(+types)})
        if broadcasts or system_messages:
            audit.write(
                AuditEvent(
                    action="batch",
                    outcome="accepted",
                    status=200,
                    caller=caller.shown,
                    items=items,
                    accepted=accepted,
                    broadcasts=broadcasts,
                    system_messages=system_messages,
                    trace_id=trace_id,
                    **_heard_by([one for one in published if _is_privileged(one[0])]),
                    **origin_of(call),
                )
            )

    # --- the typed ones

    def _progress(self, order: Order, outcome: Outcome) -> None:
        self._progress_untold += 1
        now = self._clock()
        if now >= self._progress_due:
            count, self._progress_untold, self._progress_due = self._progress_untold, 0, now + PROGRESS_INTERVAL
            told = _told(order, "video_id", "status", "progress")
            logger.info("progress sent", extra={**told, "count": count, **_reached(order, outcome)})
        elif self._verbose:
            told = _told(order, "video_id", "status", "progress")
            logger.debug("progress sent", extra={**told, **_reached(order, outcome)})

    def _completion(self, order: Order, outcome: Outcome) -> None:
        logger.info("completion sent", extra={**_told(order, "video_id", "format_type"), **_reached(order, outcome)})

    def _failure(self, order: Order, outcome: Outcome) -> None:
        logger.info("failure sent", extra={**_told(order, "video_id"), **_reached(order, outcome)})

    def _system_message(self, order: Order, outcome: Outcome) -> None:
        severity = _told(order, "level")["level"]
        logger.info("system message sent", extra={"severity": severity, **_reached(order, outcome)})


def _is_privileged(order: Order) -> bool:
    return order.targets[0].stream == ALL or order.message.type == "system_message"


def _told(order: Order, *names: str) -> dict[str, Any]:
    """Return fields of the message. It is parsed for this: hardly ever, beside how often it is published."""
    message: dict[str, Any] = from_json(order.message.payload + b"}")
    return {name: message[name] for name in names}


def _reached(order: Order, outcome: Outcome) -> dict[str, Any]:
    """Return whom a message went to, in fields; an id only if it does not name a user."""
    first = order.targets[0]
    return {
        "audience": audience_of(order.targets),
        "user_count": len(order.targets) if first.stream not in (ADMIN, ALL) else None,
        "owner": True if first.stream == ADMIN and len(order.targets) > 1 else None,
        "nodes": outcome.nodes,
        "online": outcome.online,
        "id": outcome.ids.get(first.label) if first.stream in (ADMIN, ALL) else None,
        "trace_id": order.origin.trace_id,
    }


def audience_of(targets: Sequence[Target]) -> Any:
    """Return the audience's name: of a transcode with an owner, the admins'."""
    stream = targets[0].stream
    return stream if stream in (ADMIN, ALL) else "users"


def _heard_by(privileged: Sequence[tuple[Order, Outcome]]) -> dict[str, Any]:
    """Return what the audit tells of a batch's broadcasts and system messages: whom they went to, and their ids."""
    users = [target.where for order, _ in privileged for target in order.targets if target.stream not in (ADMIN, ALL)]
    ids = [outcome.ids.get(order.targets[0].label) for order, outcome in privileged]
    return {
        "audiences": sorted({audience_of(order.targets) for order, _ in privileged}),
        "users": users[:USERS_SHOWN] or None,
        "user_count": len(users) or None,
        "ids": [name for name in ids if name is not None][:IDS_SHOWN] or None,  # a state has none
    }


def _audited(call: Call, caller: Caller, order: Order, outcome: Outcome) -> AuditEvent:
    users = [target.where for target in order.targets if target.stream not in (ADMIN, ALL)]
    kind = order.message.type
    return AuditEvent(
        action="system_message" if kind == "system_message" else "broadcast",
        outcome="accepted",
        status=202,
        caller=caller.shown,
        audience=audience_of(order.targets),
        users=users[:USERS_SHOWN] or None,
        user_count=len(users) or None,
        message_type=kind[:_TYPE_MAX],
        id=outcome.ids.get(order.targets[0].label),
        trace_id=order.origin.trace_id,
        **origin_of(call),
    )


def origin_of(call: Call) -> audit.From:
    return audit.origin(call.client, call.header(b"x-forwarded-for"))
