"""A client's cursor: the last id of each of its streams, separated by commas."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from node.feed import Feed
from shared.ids import Position, event_id, parse_event_id

SINCE_MAX_BYTES: Final = 512


def positions_in(since: str, streams: set[str]) -> dict[str, Position] | None:
    """Read ``since``: one id for each stream the connection hears; None for anything else."""
    if len(since.encode()) > SINCE_MAX_BYTES:
        return None
    found: dict[str, Position] = {}
    for text in since.split(","):
        parsed = parse_event_id(text)
        if parsed is None or parsed[0] not in streams or parsed[0] in found:
            return None
        found[parsed[0]] = parsed[1]
    return found if found.keys() == streams else None


def cursor_of(streams: Iterable[str], positions: Iterable[Position]) -> str:
    """Return positions in streams as a cursor."""
    return ",".join(event_id(stream, position) for stream, position in zip(streams, positions, strict=True))


async def resume(feeds: tuple[Feed, ...], since: str | None) -> tuple[bool | None, list[Position]]:
    """Return whether all that was missed will follow (None: there was no ``since``), and from where in each feed.

    Raises:
        RedisError: history cannot be asked just now.
    """
    wanted = None if since is None else positions_in(since, {feed.stream for feed in feeds})
    if wanted is not None:
        good = await asyncio.gather(*(feed.is_good(wanted[feed.stream]) for feed in feeds))
        if all(good):
            return True, [wanted[feed.stream] for feed in feeds]
    for feed in feeds:
        await feed.wait_settled()
    return (None if since is None else False), [feed.position for feed in feeds]
