"""Announces a change of the inbox to the user's other connections, so that badges change on all devices at once.

The node that took the call sends one order to the nodes that hold the user's connections, and each of them tells those
connections what they may see: a user's about the user's own notifications and everybody's, an admin's about the admins'
and everybody's. The order is not stored: only a user's newest counts matter, and their revision shows which those are.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from pydantic_core import to_json

from node.connection_manager import ConnectionManager
from node.frames import text_frame
from shared import envelope
from shared.cluster import user_places
from shared.errors import RedisError
from shared.keys import Keys
from shared.link import Link
from shared.tasks import all_of

logger = logging.getLogger(__name__)

# What each endpoint hears, and so what a badge beside it counts.
HEARD: Final[Mapping[bool, tuple[str, str]]] = {False: ("user", "all"), True: ("admin", "all")}


async def tell(link: Link, keys: Keys, user_id: str, notice: Mapping[str, Any], *, admins: bool) -> None:
    """Send a notice to every node that holds connections of a user.

    Args:
        notice: ``revision``; ``counts``, per kind of audience how many are unread and the id up to which was counted;
            ``changes``, under ``read``, ``up_to`` and ``deleted`` ids per kind of audience.
        admins: to its connections on the admin endpoint as well: of those every node may hold some.
    """
    order = envelope.control(to_json({"inbox": {"user_id": user_id, **notice}}))
    try:
        channels = [keys.node_channel(node) for node in await user_places(link, keys, user_id)]
        if admins:
            channels = [keys.admin_channel]  # which all nodes hear
        await all_of(*(link.send("PUBLISH", channel, order) for channel in channels))
    except RedisError as exc:
        # The change is in the database: the other devices see it when they next ask.
        logger.warning("devices were not told of a change", extra={"error": str(exc)})


def deliver(connections: ConnectionManager, notice: Mapping[str, Any]) -> None:
    """Write a notice to the connections of its user on this node."""
    sessions = connections.sessions_of(notice["user_id"])
    for is_admin in {session.is_admin for session in sessions}:
        frame = _frame(notice, HEARD[is_admin])
        if frame is not None:
            for session in sessions:
                if session.is_admin is is_admin:
                    session.inform(frame)


def _frame(notice: Mapping[str, Any], kinds: tuple[str, ...]) -> bytes | None:
    """Return the frame for connections that receive these audiences; None if not all of them were counted."""
    counts = notice["counts"]
    if any(kind not in counts for kind in kinds):
        return None
    changes = {
        name: [word for kind in kinds for word in by_kind.get(kind, ())] for name, by_kind in notice["changes"].items()
    }
    body = {
        "type": "inbox",
        "unread": sum(counts[kind][0] for kind in kinds),
        "as_of": ",".join(counts[kind][1] for kind in kinds),
        "revision": notice["revision"],
        **{name: ids for name, ids in changes.items() if ids},
    }
    return text_frame(to_json(body))
