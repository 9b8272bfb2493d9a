"""Reading the table of newest values: where every transcode stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from shared.ids import Position
from shared.keys import StateKeys
from shared.redis_link import RedisLink

STATE_CLOSING = b"}"


@dataclass(frozen=True, slots=True)
class State:
    """The newest value of one video.

    Attributes:
        payload: the message's JSON without its closing brace.
        owner: user id, or ``""``.
        final: complete or failed; kept for polling, no longer active.
    """

    video_id: int
    revision: Position
    expires_ms: int
    final: bool
    owner: str
    payload: bytes

    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = from_json(self.payload + STATE_CLOSING)
        return message


def parse_record(video_id: bytes | str, record: bytes) -> State:
    """Read a record as ``publish.lua`` writes it; later versions may add to its first line."""
    head, _, payload = record.partition(b"\n")
    revision, _, expires, mark, owner = head.split(b" ")[:5]
    return State(int(video_id), Position.parse(revision), int(expires), mark == b"f", owner.decode(), payload)


async def read_states(link: RedisLink, keys: StateKeys) -> list[State]:
    """Return every state of a table that has not aged out, newest change last."""
    table: dict[bytes, bytes] = await link.send("HGETALL", keys.table)
    now = link.server_ms()
    states = (parse_record(video, record) for video, record in table.items())
    return sorted((state for state in states if state.expires_ms > now), key=lambda state: state.revision)


async def read_state(link: RedisLink, keys: StateKeys, video_id: int) -> State | None:
    """Return the newest state of a video in a table, if it has one there that has not aged out."""
    record = await link.send("HGET", keys.table, str(video_id))
    state = parse_record(str(video_id), record) if record is not None else None
    return state if state is not None and state.expires_ms > link.server_ms() else None
