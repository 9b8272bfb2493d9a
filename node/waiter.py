"""A poll that waits: a session without a transport. When a feed writes to it, it rings, and the poll reads Redis.

It is counted, limited, swept, ended and sent away like any connection, and publishes to its user reach this node.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, ClassVar, cast

from node.session import Phase, Session

if TYPE_CHECKING:
    from node.session_host import SessionHost


class _Nowhere:
    """A transport that discards everything."""

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


_NOWHERE = _Nowhere()


class Waiter(Session):
    """Rings when its feeds write to it, and when it is ended.

    Attributes:
        reason: why it was ended, with ``close_code``.
        retry_after_ms: when to come back, if it was sent away.
    """

    __slots__ = ("_bell", "reason", "retry_after_ms")

    speaks: ClassVar[bool] = False

    def __init__(self, host: SessionHost, *, is_admin: bool) -> None:
        super().__init__(host, cast(Any, _NOWHERE), is_admin=is_admin)
        self._bell = asyncio.Event()
        self.reason = ""
        self.retry_after_ms: int | None = None

    def listen(self) -> None:
        """Ring from now on; the caller reads what came before after this call."""
        if self.phase is Phase.OPENING:
            self.phase, self.live = Phase.LIVE, True

    @property
    def ended(self) -> bool:
        return self.phase >= Phase.CLOSING

    async def rings(self, seconds: float) -> bool:
        """Wait for the bell for at most ``seconds``; return whether it rang."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._bell.wait(), seconds)
        rang = self._bell.is_set()
        self._bell.clear()
        return rang

    def write(self, frame: bytes) -> bool:
        self._bell.set()
        return False  # nothing of it is shown: it is read from history

    def send_away(self, code: int, reason: str, retry_after_ms: int) -> None:
        if self.phase < Phase.CLOSING:
            self.retry_after_ms = retry_after_ms
            self.close(code, reason)

    def close(self, code: int, reason: str = "") -> None:
        """End it at once: there is no close handshake."""
        if self.phase < Phase.CLOSING:
            self.reason = reason
            super().close(code, reason)
            self.connection_lost(None)

    def abort(self, code: int) -> None:
        self.close(code)

    def _say_goodbye(self, code: int, reason: str) -> None:
        self._bell.set()
