"""What the model of delivery is made of: a stream as its producers know it, a client as it sees itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from node.connection_manager import ConnectionManager
from node.session import Session
from shared.ids import Position, parse_event_id
from tests.node.fakes import Host, MemoryHistory, Transport

NEVER, LONG_AGO = None, 1  # when an event expires


@dataclass
class Stream:
    """One stream as its producers know it."""

    name: str
    history: MemoryHistory
    issued: list[Position] = field(default_factory=list)  # every id in the order in which it was given
    payloads: dict[Position, bytes] = field(default_factory=dict)
    expiries: dict[Position, int | None] = field(default_factory=dict)
    forgot: bool = False

    def publish(self, expires_at: int | None) -> Position:
        payload = b'{"serial":%d' % len(self.issued)
        position = self.history.append(payload, expires_at)
        self.issued.append(position)
        self.payloads[position], self.expiries[position] = payload, expires_at
        return position

    def forget(self, count: int) -> None:
        """Start anew without the last appends."""
        self.forgot |= count > 0
        if count:
            self.history.entries = self.history.entries[:-count]
            last = self.history.newest.n - count
            self.history.top = next((p for p in reversed(self.issued) if p.n == last), None) if last else None
        self.history.epoch += 1

    def only_expired_between(self, position: Position, got: Position) -> bool:
        gone = {p.n for p in self.issued if self.expiries[p] is not NEVER}
        return got.n > position.n and all(n in gone for n in range(position.n + 1, got.n))

    def line_to(self, position: Position) -> list[Position]:
        """Return the events that lead to a position: of a number given twice, what was forgotten is not among them."""
        line: list[Position] = []
        for issued in self.issued[: self.issued.index(position) + 1]:
            while line and line[-1].n >= issued.n:
                line.pop()
            line.append(issued)
        return [p for p in line if self.expiries[p] is NEVER]


@dataclass
class Client:
    """A connection as its client sees it."""

    session: Session
    transport: Transport
    start: dict[str, Position]
    gone: bool = False

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.transport.texts[1:]]

    def last(self) -> dict[str, Position]:
        """Return the last position that it saw in each stream."""
        seen = dict(self.start)
        for message in self.messages():
            found = parse_event_id(message.get("id") or message.get("cursor") or "")
            if found is not None:
                seen[found[0]] = found[1]
        return seen


class ConnectedHost(Host):
    """A host whose sessions hear what the connection manager says they do."""

    def __init__(self, connections: ConnectionManager) -> None:
        super().__init__()
        self.catches_up = True
        self._connections = connections

    def closing(self, session: Session) -> None:
        self._connections.disconnect(session)
