"""What the inbox's calls take and answer, as OpenAPI shows it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

IDS_MAX: Final = 1000
LIMIT_MAX: Final = 100
_ID: Final = "u.Nw.1795475748123-5"
_AS_OF: Final = "u.Nw.1795475748123-5,all.1795475748120-2"

EventId = Annotated[str, Field(min_length=1, max_length=256)]


class MarkRequest(BaseModel):
    """Exactly one of the three."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"ids": [_ID]}, {"up_to": _AS_OF}, {"all": True}]},
    )
    ids: list[EventId] | None = Field(None, min_length=1, max_length=IDS_MAX, description="These.")
    up_to: str | None = Field(
        None,
        min_length=1,
        max_length=1024,
        description="Everything up to this place in its stream: an id, or several streams' ids with commas, for "
        "example an `as_of`. What lies before it and is not in the inbox yet will be read when it comes.",
    )
    all: Literal[True] | None = Field(None, description="Everything published so far, in the inbox already or not.")

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if sum(given is not None for given in (self.ids, self.up_to, self.all)) != 1:
            raise ValueError("exactly one of ids, up_to and all is needed")
        return self


class Notification(BaseModel):
    id: str = Field(examples=[_ID])
    audience: Literal["user", "admin", "all"]
    type: str = Field(examples=["order_paid"])
    read: bool
    created_at: str = Field(examples=["2026-11-26T09:15:48.123Z"], description="When it was published.")
    expires_at: str | None = Field(None, description="After it, it is not in the inbox any more.")
    content: dict[str, Any] = Field(
        description="The message as the socket brought it, id included.",
        examples=[{"type": "order_paid", "order": 10482, "id": _ID}],
    )


class NotificationPage(BaseModel):
    notifications: list[Notification]
    next_cursor: str | None = Field(
        description="`cursor` of the next page; null if this is the last.", examples=["u.Nw.1795475748123-5"]
    )


class Badge(BaseModel):
    """How much is not read. Add the events that the socket brought after ``as_of`` and that are not read yet."""

    unread: int = Field(ge=0, examples=[3])
    as_of: str = Field(description="What was counted: everything up to this place in each stream.", examples=[_AS_OF])
    revision: int = Field(
        description="Rises with every change of what this user has read or deleted: of two badges, the newer is the "
        "one with the higher revision, or, with the same one, with the later `as_of`.",
        examples=[7],
    )


class UnreadCount(Badge):
    by_audience: dict[Literal["user", "admin", "all"], int] = Field(examples=[{"user": 1, "all": 2}])


class MarkResult(UnreadCount):
    read: list[str] = Field(description="Which of `ids` are read now and were not before.", examples=[[_ID]])
    unknown: list[str] = Field(
        description="Which of `ids` are not in this inbox: never were, are deleted, or their time is over."
    )


class Refusal(BaseModel):
    detail: Any = Field(examples=["no such notification"])
