"""A span as the local view keeps it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Attributes = Mapping[str, Any]

KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUSES = ("unset", "ok", "error")

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # what SDKs name a process that nobody has named


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    at_ns: int
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class Span:
    """One span. Ids are hex, times ns since the Unix epoch.

    Attributes:
        parent_id: empty for a root.
        service, instance: of its resource: what kind of process it is of, and which.
        kind, status: of ``KINDS`` and ``STATUSES``.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    start_ns: int
    end_ns: int
    service: str = ""
    instance: str = ""
    status: str = "unset"
    attributes: Attributes = field(default_factory=dict)
    events: Sequence[Event] = ()
    links: Sequence[Link] = ()

    @property
    def duration_ns(self) -> int:
        return max(self.end_ns - self.start_ns, 0)

    @property
    def process(self) -> str:
        """Return which process it is of, as a person knows it: an instance that is a UUID says nothing to anybody."""
        return (self.service if _UUID.fullmatch(self.instance) else self.instance) or self.service or "?"


def from_json(value: Mapping[str, Any]) -> Span:
    """Return a span that ``dataclasses.asdict`` has taken apart."""
    events = tuple(Event(**event) for event in value["events"])
    links = tuple(Link(**link) for link in value["links"])
    return Span(**{**value, "events": events, "links": links})
