"""``DELETE /api/v1/users/{id}/data``: deletes everything that is kept of a user.

It deletes notifications, what the user has read and deleted, all events of the user's stream (those kept for returning
clients, those that wait for the inbox, and those set aside), entries of the queue that were set aside, and the states
of the user's transcodes. Repeating it does no harm and completes what a fault interrupted. docs/inbox.md says what it
does not reach.

Entries that wait in the queue are only counted. Each is a call that has not been made yet: a router may be publishing
it just now, it may also be meant for others, and what it publishes can be erased afterwards.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any, Final

from pydantic_core import from_json

from shared import envelope
from shared.ids import BEGINNING, Position, user_stream
from shared.keys import Keys, StateKeys, bucket
from shared.link import Link
from shared.scripts import FORGET_STATES, Scripts
from shared.states import changed_since
from shared.tasks import all_of

EraseRows = Callable[[str, Position], Awaitable[int]]
Concerns = Callable[[Sequence[bytes]], bool]

_DEAD_PAGE: Final = 500  # entries
_QUEUE_PAGE: Final = 20  # each may have a MB


class Erasure:
    """Erases users.

    Args:
        erase_rows: removes a user's rows from the inbox up to a place; None where there is no inbox.
    """

    def __init__(self, link: Link, scripts: Scripts, keys: Keys, erase_rows: EraseRows | None) -> None:
        self._link, self._scripts, self._keys, self._erase_rows = link, scripts, keys, erase_rows

    async def erase(self, user: str) -> dict[str, int]:
        """Return how much of each kind was there. Raises ``RedisError`` or ``DatabaseError``: do it again."""
        tag, stream = bucket(user), user_stream(user)
        top = await self._link.send("HGET", self._keys.seq(tag), stream)
        history = self._keys.stream(tag, stream)
        events = await self._link.send("XLEN", history)
        await self._remove(history)
        own, everybodys = self._keys.user_states(user), self._keys.all_states
        states = await self._forget_states(everybodys, user)
        await self._remove(own.table, own.revisions, own.expiries)
        queued, dead = await self._look_through_the_queue(user)
        dead += await self._forget_dead(tag, stream)
        position = BEGINNING if top is None else Position.parse(top)
        rows = 0 if self._erase_rows is None else await self._erase_rows(user, position)
        return {"inbox_rows": rows, "events": events, "transcodes": states, "set_aside": dead, "queued": queued}

    async def _remove(self, *names: str) -> None:
        """Remove keys; the user as whom we speak to Redis need not have DEL for it."""
        await all_of(*(self._link.send("PEXPIRE", name, 0) for name in names))

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
        """Remove a user's entries among those that the archive set aside; unreadable ones are kept."""
        return await self._forget(self._keys.archive_dead(tag), _DEAD_PAGE, lambda fields: _stream_of(fields) == stream)

    async def _look_through_the_queue(self, user: str) -> tuple[int, int]:
        """Count waiting queue entries that name a user, and remove those that were set aside; return both numbers."""

        def concerns(fields: Sequence[bytes]) -> bool:
            return user in _users_of(fields)

        # In this order: an entry that is set aside in between is counted all the same.
        queued = [len(names) async for names in self._entries(self._keys.queue, _QUEUE_PAGE, concerns)]
        return sum(queued), await self._forget(self._keys.queue_dead, _QUEUE_PAGE, concerns)

    async def _forget(self, key: str, page: int, concerns: Concerns) -> int:
        removed = 0
        async for names in self._entries(key, page, concerns):
            removed += await self._link.send("XDEL", key, *names)
        return removed

    async def _entries(self, key: str, page: int, concerns: Concerns) -> AsyncIterator[list[bytes]]:
        """Yield, page by page, the ids of those entries of a stream whose fields concern somebody."""
        after = "-"
        while entries := await self._link.send("XRANGE", key, after, "+", "COUNT", page):
            if names := [entry for entry, fields in entries if concerns(fields)]:
                yield names
            after = f"({entries[-1][0].decode()}"


def _stream_of(fields: Sequence[bytes]) -> str | None:
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    try:
        return next(envelope.read(values.get(b"e", b""))).stream.decode()
    except (StopIteration, ValueError):
        return None


def _users_of(fields: Sequence[bytes]) -> set[str]:
    """Return whom an entry of the queue names: as `user_id`, or among `users`, wherever in its body."""
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    try:
        # The body of an entry that was set aside may be truncated.
        return {str(name) for name in _named(from_json(values.get(b"body", b""), allow_partial=True))}
    except ValueError:
        return set()


def _named(said: Any) -> Iterator[Any]:
    if isinstance(said, dict):
        yield said.get("user_id")
        users = said.get("users")
        yield from users if isinstance(users, list) else ()
    for part in said.values() if isinstance(said, dict) else said if isinstance(said, list) else ():
        yield from _named(part)
