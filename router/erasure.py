"""``DELETE /api/v1/users/{id}/data``: everything that is kept of a user, removed by one call.

It takes away the notifications, what the user has read and deleted, events of its stream that are kept for returning
clients, wait for the inbox or were set aside, and the states of its transcodes. Doing it again does no harm and
completes what a fault cut off. docs/inbox.md says what it does not reach.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from shared import envelope
from shared.ids import BEGINNING, Position, user_stream
from shared.keys import Keys, StateKeys, bucket
from shared.redis_link import RedisLink
from shared.scripts import FORGET_STATES, Scripts
from shared.states import changed_since

EraseRows = Callable[[str, Position], Awaitable[int]]

_DEAD_PAGE: Final = 500  # entries


class Erasure:
    """Erases users.

    Args:
        erase_rows: removes a user's rows from the inbox up to a place; None where there is no inbox.
    """

    def __init__(self, link: RedisLink, scripts: Scripts, keys: Keys, erase_rows: EraseRows | None) -> None:
        self._link, self._scripts, self._keys, self._erase_rows = link, scripts, keys, erase_rows

    async def erase(self, user: str) -> dict[str, int]:
        """Return how much of each kind was there. Raises ``RedisError`` or ``DatabaseError``: do it again."""
        tag, stream = bucket(user), user_stream(user)
        top = await self._link.send("HGET", self._keys.seq(tag), stream)
        history = self._keys.stream(tag, stream)
        events = await self._link.send("XLEN", history)
        await self._link.send("UNLINK", history)
        own, everybodys = self._keys.user_states(user), self._keys.all_states
        states = await self._forget_states(everybodys, user)
        await self._link.send("UNLINK", own.table, own.revisions, own.expiries)
        dead = await self._forget_dead(tag, stream)
        position = BEGINNING if top is None else Position.parse(top)
        rows = 0 if self._erase_rows is None else await self._erase_rows(user, position)
        return {"inbox_rows": rows, "events": events, "transcodes": states, "set_aside": dead}

    async def _forget_states(self, keys: StateKeys, user: str) -> int:
        removed = 0
        async for page in changed_since(self._link, keys, 0):
            named: list[Any] = []
            for state in page:
                if state.owner == user:
                    named += (state.video_id, str(state.revision))
            if named:
                names = (keys.table, keys.revisions, keys.expiries)
                removed += await self._scripts.run(self._link, FORGET_STATES, names, named)
        return removed

    async def _forget_dead(self, tag: str, stream: str) -> int:
        """Remove what was set aside of a stream; what cannot even be read names nobody."""
        key, after, removed = self._keys.archive_dead(tag), "-", 0
        while entries := await self._link.send("XRANGE", key, after, "+", "COUNT", _DEAD_PAGE):
            names = [entry for entry, fields in entries if _stream_of(fields) == stream]
            if names:
                removed += await self._link.send("XDEL", key, *names)
            after = f"({entries[-1][0].decode()}"
        return removed


def _stream_of(fields: list[bytes]) -> str | None:
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    try:
        return next(envelope.read(values.get(b"e", b""))).stream.decode()
    except (StopIteration, ValueError):
        return None
