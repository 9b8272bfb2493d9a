"""Who did what to whom: one event for every privileged call, accepted or refused.

The service that decides a call writes the event, once its outcome is known. ``LOG_LEVEL`` does not switch it off.
Accepted calls are always written. Others can be brought about by the thousand, so of those of one caller, or of
strangers at one address, some are left out and counted.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from typing import Annotated, Any, Final, Literal, TypedDict

from pydantic import Field

from shared.flood import FLOOD_KEY

AUDIT: Final = "audit"  # the logger's name
USERS_SHOWN: Final = 20
IDS_SHOWN: Final = 20
_CLAIM_MAX: Final = 200  # characters of what a caller says of itself

logger = logging.getLogger(AUDIT)

Action = Literal["broadcast", "system_message", "batch", "end_connections", "unblock", "erase", "publish", "read"]
Outcome = Literal["accepted", "refused", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One line of the audit, beside what every line has (time, service, instance, version)."""

    action: Annotated[
        Action,
        Field(
            description="What was called. `broadcast`: a message to all connections. `batch`: a call with many "
            "messages, at least one of them a broadcast or system message. `erase`: all data of a user. "
            "`publish`, `read`: a refused call that did "
            "not get far enough to tell more."
        ),
    ]
    outcome: Annotated[
        Outcome,
        Field(description="`failed`: Redis or the router did not answer; it may have been done in part."),
    ]
    status: Annotated[int, Field(description="The HTTP status of the answer.")]
    caller: Annotated[
        str | None,
        Field(
            description="`sub:` and the token's `sub`, or `key:` and the first eight hexadecimal digits of the service "
            "key's SHA-256; `queue` for what came by the queue; absent if it is unknown who called."
        ),
    ] = None
    address: Annotated[
        str | None,
        Field(description="From where the call came: the client's, as far as `TRUSTED_PROXIES` vouch for it."),
    ] = None
    forwarded_for: Annotated[
        str | None,
        Field(description="`X-Forwarded-For` as it came: as true as the proxies in front are strict."),
    ] = None
    audience: Annotated[Literal["all", "admin", "users"] | None, Field(description="Who was to hear it.")] = None
    users: Annotated[
        list[str] | None,
        Field(description=f"The users it was about; the first {USERS_SHOWN} of them."),
    ] = None
    user_count: Annotated[int | None, Field(description="How many users it was about.")] = None
    message_type: Annotated[str | None, Field(description="The message's `type`.")] = None
    id: Annotated[
        str | None, Field(description="The message's first id, as the caller was told and as the browsers see it.")
    ] = None
    items: Annotated[int | None, Field(description="Of a batch: its messages.")] = None
    accepted: Annotated[int | None, Field(description="Of a batch: how many were published.")] = None
    broadcasts: Annotated[int | None, Field(description="Of a batch: broadcasts among the published.")] = None
    system_messages: Annotated[int | None, Field(description="Of a batch: system messages among the published.")] = None
    audiences: Annotated[
        list[str] | None, Field(description="Of a batch: who was to hear its broadcasts and system messages.")
    ] = None
    ids: Annotated[
        list[str] | None,
        Field(description=f"Of a batch: the first ids of its broadcasts and system messages, {IDS_SHOWN} at most."),
    ] = None
    connections: Annotated[int | None, Field(description="How many connections the user had, on all nodes.")] = None
    block_seconds: Annotated[int | None, Field(description="For how long the user is refused from now on.")] = None
    was_blocked: Annotated[bool | None, Field(description="Of an unblock: whether there was anything to lift.")] = None
    reason: Annotated[str | None, Field(description="Why it was refused or failed, in fixed words.")] = None
    trace_id: Annotated[str | None, Field(description="The W3C trace of the call: 32 hexadecimal digits.")] = None


_NAMES: Final = tuple(field.name for field in fields(AuditEvent))


class From(TypedDict):
    """Where a call came from, as far as that is known: fields of an event."""

    address: str | None
    forwarded_for: str | None


def origin(client: Any, forwarded_for: str | None) -> From:
    """Read where a call came from: from an ASGI scope's ``client``, and from a header."""
    return From(address=client[0] if client else None, forwarded_for=(forwarded_for or "")[:_CLAIM_MAX] or None)


def outcome_of(status: int) -> Outcome:
    if status < 400:
        return "accepted"
    return "refused" if status < 500 else "failed"


def write(event: AuditEvent) -> None:
    """Write an event."""
    told: dict[str, Any] = {name: value for name in _NAMES if (value := getattr(event, name)) is not None}
    if event.outcome != "accepted":
        told[FLOOD_KEY] = (AUDIT, event.action, event.status, event.caller or event.address)
    logger.info("audit", extra=told)
