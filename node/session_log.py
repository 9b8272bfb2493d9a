"""Log lines about clients: connected, disconnected, refused.

An admin's connections are logged at INFO, a user's at DEBUG. Who it is, is logged only if the settings allow it
(``LOG_USER_IDS``): the formatter leaves the field ``user`` out otherwise.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from node.connection_manager import ConnectionManager
from node.session import Session
from shared.close_codes import CloseCode
from shared.stats import Counters

logger = logging.getLogger(__name__)

_CLAIM_MAX: Final = 200  # characters of what a stranger says of itself


class SessionLog:
    """Writes the log lines about clients.

    Args:
        cluster: returns the cluster's counters as this node should show them.
        now: the loop's time.
    """

    def __init__(
        self, connections: ConnectionManager, cluster: Callable[[], Counters], now: Callable[[], float]
    ) -> None:
        self._connections, self._cluster, self._now = connections, cluster, now
        self._verbose = logger.isEnabledFor(logging.DEBUG)

    def connected(self, session: Session) -> None:
        """Log a session that was welcomed."""
        if session.is_admin:
            logger.info("admin connected", extra={"user": session.user_id, **self._admins()})
        elif self._verbose:
            logger.debug("user connected", extra={"user": session.user_id, **self._users()})

    def disconnected(self, session: Session) -> None:
        """Log a session that is no longer counted; of one that was never welcomed, its refusal is logged instead."""
        if not session.welcomed_at or not (session.is_admin or self._verbose):
            return
        told = {
            "user": session.user_id,
            "code": session.close_code,
            "seconds": round(self._now() - session.welcomed_at, 1),
        }
        if session.is_admin:
            logger.info("admin disconnected", extra={**told, **self._admins()})
        else:
            logger.debug("user disconnected", extra={**told, **self._users()})

    def refused(self, reason: str, *, admin: bool, code: CloseCode, user: str = "") -> None:
        """Log a handshake that ended with a close code."""
        logger.info(
            "handshake refused",
            extra={"reason": reason, "code": int(code), "kind": _kind(admin=admin), "user": user or None},
        )

    def turned_away(self, reason: str, origin: str) -> None:
        """Log an upgrade that was refused with HTTP 403."""
        logger.info("upgrade refused", extra={"reason": reason, "origin": origin[:_CLAIM_MAX] or None})

    def ended(self, user: str, connections: int, reason: str, trace_id: str | None) -> None:
        """Log connections that were ended on somebody's order."""
        logger.info(
            "connections ended",
            extra={"user": user, "connections": connections, "reason": reason, "trace_id": trace_id},
        )

    def cut_off(self, session: Session, seconds: float) -> None:
        """Log a client that has read nothing for too long."""
        logger.info(
            "slow client cut off",
            extra={"user": session.user_id, "kind": _kind(admin=session.is_admin), "seconds": round(seconds, 1)},
        )

    def _admins(self) -> dict[str, int]:
        return {
            "admin_connections": self._connections.connection_counts()[1],
            "admin_connections_cluster": self._cluster().admin_connections,
        }

    def _users(self) -> dict[str, int]:
        return {"user_connections": self._connections.connection_counts()[0]}


def _kind(*, admin: bool) -> str:
    return "admin" if admin else "user"
