"""What a session needs of the node it lives in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from node.frames import Frame
    from node.session import Session


class SessionHost(Protocol):
    """A session's way to everything that is not its own connection; the hub is one."""

    frame_max_bytes: int

    def now(self) -> float:
        """Return the loop's time, seconds."""

    def may_command(self, user_id: str) -> bool:
        """Count a command of this user; False if it was one too many."""

    def stats_frame(self) -> bytes: ...

    def refresh(self, session: Session, token: str) -> None:
        """Judge a fresh token, and answer when that is done."""

    def behind(self, session: Session) -> None:
        """Bring a session that is CATCHING_UP to the tops of its feeds."""

    def fell_behind(self) -> None:
        """Count a session that was live and is so no more, for its client reads too slowly."""

    def closing(self, session: Session) -> None:
        """Forget a session that will hear nothing any more."""

    def closed(self, session: Session) -> None: ...

    def acknowledged(self, session: Session, frame: Frame) -> bool:
        """Take a client's word that it has shown a message; False if that is not it, or it was not asked."""
