"""What a session needs of the node it lives in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from node.frames import Frame
    from node.session import Session


class SessionHost(Protocol):
    """What a session calls for everything beyond its own connection; implemented by the hub."""

    frame_max_bytes: int

    def now(self) -> float:
        """Return the loop's time, seconds."""

    def may_command(self, user_id: str) -> bool:
        """Count a command of this user; False if it was one too many."""

    def stats_frame(self) -> bytes: ...

    def refresh(self, session: Session, token: str) -> None:
        """Verify a fresh token, and have the session answer then."""

    def behind(self, session: Session) -> None:
        """Bring a session that is CATCHING_UP to the tops of its feeds."""

    def fell_behind(self) -> None:
        """Count a session that is no longer live because its client reads too slowly."""

    def closing(self, session: Session) -> None:
        """Remove a session that is sent nothing any more."""

    def closed(self, session: Session) -> None: ...

    def acknowledged(self, session: Session, frame: Frame) -> bool:
        """Take an acknowledgement; False if the frame is none, or was not asked for."""
