"""What one of everything costs, as it was measured: the one place is ``unit_costs.json`` beside this file.

It is written by ``python -m loadtests.unit_costs --write`` and says when, how and in which conditions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True)
class Cost:
    """What one of something costs each part: CPU in µs; Redis's traffic in bytes as Redis counts it."""

    node: float = 0.0
    router: float = 0.0
    redis: float = 0.0
    commands: float = 0.0
    received: float = 0.0
    sent: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(Cost)))

    def __mul__(self, count: float) -> Cost:
        return Cost(*(getattr(self, each.name) * count for each in fields(Cost)))


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. Of processes: what they have before anybody connects, and a connection. Of Redis: by key."""

    node: float
    router: float
    node_connection: float
    redis_user: float
    redis_known_user: float
    redis_stream: float
    redis_event: float
    redis_operation: float
    redis_claim: float
    redis_state: float


@dataclass(frozen=True, slots=True)
class UnitCosts:
    """One of everything.

    Attributes:
        connect, leave: a connection's beginning and its end, with the registry.
        heartbeat: a ping and its pong.
        compare: a user's part in a comparison of tops, every ten seconds.
        personal, batched: a message to one user with an idempotency key, alone or one of a hundred.
        progress: a state, to the admin pool with one admin and to its owner.
        broadcast: a message to all, before it comes to any node.
        broadcast_node: to have it on one node; ``delivery``: to write it to one connection.
        cluster: a second of an idle cluster with one router; ``idle_node``: a second of each node in it.
        message_bytes: of the message that was measured.
    """

    measured: str
    command: str
    conditions: str
    message_bytes: float
    connect: Cost
    leave: Cost
    heartbeat: Cost
    compare: Cost
    personal: Cost
    batched: Cost
    progress: Cost
    broadcast: Cost
    broadcast_node: Cost
    delivery: Cost
    cluster: Cost
    idle_node: Cost
    memory: Memory


def measured() -> UnitCosts:
    """Return the costs that came with this version."""
    text = resources.files(__package__).joinpath("unit_costs.json").read_text(encoding="utf-8")
    return read(json.loads(text))


def read(document: Mapping[str, Any]) -> UnitCosts:
    """Read what the measuring script wrote; a name that is missing or too much is a ``TypeError``."""
    whole: dict[str, Any] = {name: value for name, value in document.items() if name not in {"costs", "memory"}}
    whole |= {name.replace(" ", "_"): Cost(**cost) for name, cost in document["costs"].items()}
    return UnitCosts(**whole, memory=Memory(**document["memory"]))
