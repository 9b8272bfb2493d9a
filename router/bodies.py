"""What callers send and what they get back: the HTTP bodies, as OpenAPI shows them."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NotRequired

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, InstanceOf, Tag, WithJsonSchema
from typing_extensions import TypedDict

from shared.ids import user_id
from shared.messages import SystemMessage, TranscodeComplete, TranscodeFailed, TranscodeProgress

USERS_MAX = 1000
BATCH_MAX = 1000
BLOCK_MAX = 10 * 365 * 24 * 3600  # s
_MICROSECONDS_MAX = 2**53 - 1


UserId = Annotated[
    str,
    BeforeValidator(user_id),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": "^[A-Za-z0-9_:@-]{1,128}$"}, {"type": "integer"}], "examples": [7]}
    ),
]
Expiry = Annotated[
    str | int | float | None,
    Field(description="Time (RFC 3339, or seconds since the Unix epoch) after which it is no longer delivered."),
]
SentAt = Annotated[
    int | None,
    Field(
        ge=0,
        le=_MICROSECONDS_MAX,
        description="The producer's time, µs since the Unix epoch: orders the states of a video.",
    ),
]

ItemKey = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=255,
        description="Makes this message safe to repeat for 24 hours, per caller; of an item of a batch, its own key.",
    ),
]


# These two stay dictionaries: a model per message would make up a tenth of the router's work.
class Users(TypedDict):
    """Users by their ids, each once however often it is named."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]  # pydantic's way to configure a TypedDict
    users: Annotated[list[UserId], Field(min_length=1, max_length=USERS_MAX, examples=[[7, 8]])]


_AUDIENCES: Final[dict[type, str]] = {dict: "Users", str: "Name"}


def _kind_of_audience(value: Any) -> str | None:
    return _AUDIENCES.get(type(value))


# With a discriminator: otherwise pydantic would try both, and report for each why it does not match.
Audience = Annotated[
    Annotated[Literal["admin", "all"], Tag("Name")] | Annotated[Users, Tag("Users")],
    Discriminator(
        _kind_of_audience,
        custom_error_type="audience",
        custom_error_message="Input should be 'admin', 'all' or an object with users",
    ),
]


class _NotificationRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    expires_at: Expiry = None
    idempotency_key: ItemKey = None
    timestamp: Any = Field(None, description="Ignored: the router sets it.", json_schema_extra={"deprecated": True})


class _TranscodeRequest(_NotificationRequest):
    user_id: UserId | None = Field(None, description="The video's owner, who gets the message too.")
    sent_at: SentAt = None


class ProgressNotification(_TranscodeRequest, TranscodeProgress):
    type: Literal["transcode_progress"]


class CompleteNotification(_TranscodeRequest, TranscodeComplete):
    type: Literal["transcode_complete"]


class FailedNotification(_TranscodeRequest, TranscodeFailed):
    type: Literal["transcode_failed"]


class SystemNotification(_NotificationRequest, SystemMessage):
    type: Literal["system_message"]
    target: Audience = "admin"


TranscodeNotification = ProgressNotification | CompleteNotification | FailedNotification
Notification = Annotated[TranscodeNotification | SystemNotification, Field(discriminator="type")]


class MessageRequest(TypedDict):
    """A custom or typed message to any audience."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[misc]
    audience: Annotated[Audience, Field(examples=[{"users": [7, 8]}])]
    # Not validated as a dictionary: that would copy it. Its names are strings, for it was read from JSON.
    message: Annotated[InstanceOf[dict[str, Any]], Field(examples=[{"type": "order_paid", "order": 10482}])]
    sent_at: NotRequired[SentAt]
    expires_at: NotRequired[Expiry]
    idempotency_key: NotRequired[ItemKey]


class Batch(BaseModel):
    """A batch whose items are not validated yet: each is validated by itself."""

    model_config = ConfigDict(extra="forbid")
    items: list[Any] = Field(min_length=1, max_length=BATCH_MAX)


class Published(BaseModel):
    """What became of a message. ``id`` is null for state, which has no place in a history."""

    id: str | None = Field(examples=["admin.1760092200123-42"])
    ids: dict[str, str] = Field(
        description="One id per audience: `admin`, `all`, `user:<id>`.",
        examples=[{"admin": "admin.1760092200123-42", "user:7": "u.Nw.1760092200123-3"}],
    )
    nodes: int = Field(description="How many nodes it was handed to.", examples=[2])
    online: bool = Field(description="Whether anybody of its audience is connected.")
    trace_id: str = Field(examples=["4bf92f3577b34da6a3ce929d0e0e4736"])


class BatchItemResult(BaseModel):
    status: Literal[202, 409, 413, 422] = Field(description="What the item alone would have been answered.")
    detail: Any | None = None
    id: str | None = None
    ids: dict[str, str] | None = None
    nodes: int | None = None
    online: bool | None = None
    trace_id: str | None = None


class BatchResult(BaseModel):
    results: list[BatchItemResult]


class Refusal(BaseModel):
    detail: Any = Field(examples=["the scope 'publish' is missing"])


class Unavailable(BaseModel):
    detail: str
    operation_key: str | None = Field(
        None,
        description="Repeat the call with it as Idempotency-Key; a key of yours holds 24 hours, ours 15 minutes.",
    )


class Counts(BaseModel):
    total_users: int
    total_user_connections: int
    total_admin_connections: int
    total_connections: int


class Node(BaseModel):
    node_id: str = Field(examples=["node-1.5f3c9a1e"])
    name: str
    state: Literal["up", "draining"]
    version: str
    started_at: str
    users: int
    user_connections: int
    admin_connections: int


class Nodes(BaseModel):
    nodes: list[Node]


class UserConnections(BaseModel):
    user_id: int | str
    connections: int
    nodes: dict[str, int] = Field(description="Connections per node id.")


class Ending(BaseModel):
    """The parameters of a call that ends connections; unknown ones are refused: a typo must not skip the block."""

    model_config = ConfigDict(extra="forbid")
    block_seconds: int | None = Field(None, ge=1, le=BLOCK_MAX)


class Nothing(BaseModel):
    """The parameters of a call that has none: of `?dry_run=1` nobody thinks that it erases."""

    model_config = ConfigDict(extra="forbid")


class Ended(BaseModel):
    user_id: int | str
    connections: int = Field(description="User connections that were known when the order to end them went out.")
    blocked_until: str | None = None


class Unblocked(BaseModel):
    user_id: int | str
    was_blocked: bool


class Erased(BaseModel):
    """How much was there. Zeros throughout: there was nothing, or it is done already."""

    user_id: int | str
    inbox_rows: int = Field(description="Notifications, and marks on those of everybody.")
    events: int = Field(description="Events that were kept for clients that come back.")
    transcodes: int = Field(description="States of the user's transcodes that admins were shown.")
    set_aside: int = Field(
        description="Events that the inbox's database would not have, messages of the queue that cannot be published."
    )
    queued: int = Field(
        description="Messages that wait in the queue and name the user. They are still published, as calls would be "
        "that come now: if it is not 0, erase again once the queue has been read."
    )


class Transcodes(BaseModel):
    transcodes: list[dict[str, Any]]


class NotificationBatch(BaseModel):
    model_config = ConfigDict(extra="forbid")
    items: list[Notification] = Field(min_length=1, max_length=BATCH_MAX)


class MessageBatch(BaseModel):
    model_config = ConfigDict(extra="forbid")
    items: list[MessageRequest] = Field(min_length=1, max_length=BATCH_MAX)
