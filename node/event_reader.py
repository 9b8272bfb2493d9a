"""Answers a client without a connection: everything after its cursor, read from Redis.

The states are read before the events, and those that an event of the answer has ended are left out. So a client that
applies the events first and the states after them never sees progress go back, as on a socket.

    no ``since`` ............................ the position, all states; ``recovered`` is null
    good ``since`` .......................... what came after it; on the last page the states too
    malformed, foreign, out of reach ........ the position, all states; ``recovered`` is false

A poll that finds nothing new costs two ``HMGET``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from pydantic_core import to_json

from node.cursors import cursor_of, positions_in
from node.history import Entry, Head, History
from shared.errors import RedisUnavailable
from shared.ids import ADMIN, ALL, BEGINNING, Position, user_stream
from shared.keys import SHARED_TAG, Keys, bucket
from shared.link import Link
from shared.states import State, changed_since

_READERS: Final = 16  # answers that are read at a time: each may hold a few MB, and sockets are served in between
_BIRTH_TIMEOUT: Final = 5.0  # s
_ANSWER_BYTES: Final = 1024 * 1024  # of a stream's events, after which the rest is another page's


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks for.

    Attributes:
        user: None for the admin pool.
        limit: events of each stream at most.
        states_since: the revision up to which it has the states; None: it has none.
    """

    user: str | None
    since: str | None
    limit: int
    states_since: Position | None = None

    @property
    def stream(self) -> str:
        return ADMIN if self.user is None else user_stream(self.user)

    @property
    def tag(self) -> str:
        return SHARED_TAG if self.user is None else bucket(self.user)


@dataclass(frozen=True, slots=True)
class Answer:
    """What it gets: events and states as they stand on a socket, and where to go on."""

    events: list[bytes]
    states: list[bytes]
    cursor: str
    states_cursor: Position
    recovered: bool | None
    has_more: bool

    @property
    def is_news(self) -> bool:
        """Whether to answer at once instead of waiting for more."""
        return bool(self.events or self.states) or self.has_more or self.recovered is not True

    @property
    def json(self) -> bytes:
        rest = {
            "cursor": self.cursor,
            "states_cursor": str(self.states_cursor),
            "recovered": self.recovered,
            "has_more": self.has_more,
        }
        events, states = b",".join(self.events), b",".join(self.states)
        return b'{"events":[%s],"states":[%s],%s' % (events, states, to_json(rest)[1:])


@dataclass(frozen=True, slots=True)
class _Part:
    """One stream's share of an answer."""

    events: list[bytes]
    position: Position
    has_more: bool
    ends: dict[int, Position]


class EventReader:
    """Answers from Redis alone, whatever this node has received on the bus.

    Args:
        birth: gives a user's bucket an epoch, if nobody of it was ever here and nothing sent.
    """

    def __init__(self, history: History, link: Link, keys: Keys, birth: Callable[[str], Awaitable[object]]) -> None:
        self._history, self._link, self._keys, self._birth = history, link, keys, birth
        self._turns = asyncio.Semaphore(_READERS)

    async def read(self, asked: Asked) -> Answer:
        """Return what came after a client's cursor. Raises ``RedisError``."""
        async with self._turns:
            return await self._read(asked)

    async def _read(self, asked: Asked) -> Answer:
        streams = ((asked.tag, asked.stream), (SHARED_TAG, ALL))
        names = [stream for _, stream in streams]
        heads = await asyncio.gather(*(self._history.head(tag, stream) for tag, stream in streams))
        if asked.user is not None and not heads[0].epoch:
            # Without an epoch, the position would still look valid after Redis has forgotten everything.
            await self._give_birth(asked.user)
            heads[0] = await self._history.head(asked.tag, asked.stream)
        since = positions_in(asked.since, set(names)) if asked.since is not None else None
        known = asked.states_since if since is not None else None
        states, upto = await self._states(asked, heads[0].states, known)
        if since is not None:
            pages = await asyncio.gather(
                *(
                    self._history.resume(tag, stream, since[stream], head, asked.limit)
                    for (tag, stream), head in zip(streams, heads, strict=True)
                )
            )
            parts = [
                _part(stream, since[stream], head, page, asked.limit)
                for stream, head, page in zip(names, heads, pages, strict=True)
                if page is not None
            ]
            if len(parts) == len(pages):
                return _answer(names, parts, states, upto, known)
            if known is not None:
                states, upto = await self._states(asked, heads[0].states, None)
        shown = [state.json for state in states]
        cursor = cursor_of(names, [head.top for head in heads])
        return Answer([], shown, cursor, upto, None if asked.since is None else False, False)

    async def _give_birth(self, user: str) -> None:
        try:
            async with asyncio.timeout(_BIRTH_TIMEOUT):
                await self._birth(user)
        except TimeoutError:
            raise RedisUnavailable("redis does not answer in time") from None

    async def _states(self, asked: Asked, top: Position, known: Position | None) -> tuple[list[State], Position]:
        """Return the active states that are newer than a known revision, and the revision up to which that is."""
        if top in (known, BEGINNING):
            return [], top
        # A server that came back empty numbers its revisions from one again; then everything is read.
        since = known.n if known is not None and known.epoch == top.epoch and known.n < top.n else 0
        newest: dict[int, State] = {}
        async for page in changed_since(self._link, self._keys.states(asked.tag, asked.stream), since):
            for state in page:
                newest.pop(state.video_id, None)
                newest[state.video_id] = state
        now = self._link.of(asked.tag).server_ms()
        upto = max((state.revision for state in newest.values()), default=top)
        return [state for state in newest.values() if not state.final and state.expires_ms > now], max(upto, top)


def _part(stream: str, since: Position, head: Head, entries: list[Entry], limit: int) -> _Part:
    shown, size = len(entries), 0
    for index, entry in enumerate(entries):
        size += len(entry.payload)
        if size > _ANSWER_BYTES and index > 0:
            shown = index
            break
    has_more = shown < len(entries) or (len(entries) == limit and entries[-1].position.n < head.top.n)
    entries, now = entries[:shown], time.time() * 1000
    stays_at = head.top if since.n == 0 == head.top.n else since  # the epoch of an empty stream may be another
    position = entries[-1].position if entries else stays_at
    alive = (entry for entry in entries if entry.expires_at is None or entry.expires_at > now)
    return _Part([entry.json(stream) for entry in alive], position, has_more, dict(_ends(entries)))


def _ends(entries: Iterable[Entry]) -> Iterable[tuple[int, Position]]:
    return (entry.ends for entry in entries if entry.ends is not None)


def _answer(
    names: list[str], parts: list[_Part], states: list[State], upto: Position, known: Position | None
) -> Answer:
    has_more = any(part.has_more for part in parts)
    ends = parts[0].ends  # transcodes are told to their owner and the admins, never to all
    alive = [] if has_more else [s.json for s in states if s.revision > ends.get(s.video_id, BEGINNING)]
    return Answer(
        events=[event for part in parts for event in part.events],
        states=alive,
        cursor=cursor_of(names, [part.position for part in parts]),
        states_cursor=(known or BEGINNING) if has_more else upto,
        recovered=True,
        has_more=has_more,
    )
