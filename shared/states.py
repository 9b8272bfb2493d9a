"""Reading the table of newest values: where every transcode stands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from shared.ids import Position
from shared.keys import StateKeys, tag_of
from shared.link import Link

_PAGE: Final = 500  # states per read, about 1 ms of the loop: a table may hold all transcodes of a day


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

    @property
    def json(self) -> bytes:
        """The message as browsers get it."""
        return self.payload + b"}"


def parse_record(video_id: bytes | str, record: bytes) -> State:
    """Read a record as ``publish.lua`` writes it; later versions may add to its first line."""
    head, _, payload = record.partition(b"\n")
    revision, _, expires, mark, owner = head.split(b" ")[:5]
    return State(int(video_id), Position.parse(revision), int(expires), mark == b"f", owner.decode(), payload)


async def changed_since(link: Link, keys: StateKeys, revision: int) -> AsyncIterator[list[State]]:
    """Yield the states of a table that changed after a revision, oldest change first, page by page.

    What changes meanwhile moves to the end, and so may come twice: the later one counts.

    Raises:
        RedisError: nothing more was read; doing it again does no harm.
    """
    while True:
        found: list[tuple[bytes, float]] = await link.send(
            "ZRANGEBYSCORE", keys.revisions, f"({revision}", "+inf", "WITHSCORES", "LIMIT", 0, _PAGE
        )
        if not found:
            return
        videos = [video for video, _ in found]
        records = await link.send("HMGET", keys.table, *videos)
        found_records = zip(videos, records, strict=True)
        yield [parse_record(video, record) for video, record in found_records if record is not None]
        if len(found) < _PAGE:
            return
        revision = int(found[-1][1])


async def transcodes_json(link: Link, keys: StateKeys) -> bytes:
    """Return ``{"transcodes": […]}`` with every state of a table that has not aged out, newest change last."""
    states: dict[int, bytes] = {}
    async for page in changed_since(link, keys, 0):
        now = link.of(tag_of(keys.table)).server_ms()
        for state in page:
            states.pop(state.video_id, None)  # moved to the end meanwhile
            if state.expires_ms > now:
                states[state.video_id] = state.json
    return b'{"transcodes":[' + b",".join(states.values()) + b"]}"


async def read_state(link: Link, keys: StateKeys, video_id: int) -> State | None:
    """Return the newest state of a video in a table, if it has one there that has not aged out."""
    record = await link.send("HGET", keys.table, str(video_id))
    state = parse_record(str(video_id), record) if record is not None else None
    return state if state is not None and state.expires_ms > link.of(tag_of(keys.table)).server_ms() else None
