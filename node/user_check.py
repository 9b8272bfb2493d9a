"""Whether a token's user still exists: claims only by default, or the platform's own HTTP endpoint."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from enum import Enum
from typing import Final, Protocol
from urllib.parse import quote

import httpx

from node.settings import NodeSettings
from shared.single_flight import SingleFlight

logger = logging.getLogger(__name__)

_REMEMBERED: Final = 100_000  # answers kept; the oldest go first
_AT_ONCE: Final = 50  # questions under way; more wait for their turn
_TIMEOUT: Final = 3.0  # s for a connection, or for the next bytes of an answer
_BODY_MAX: Final = 64 * 1024  # bytes of an answer that are read; nothing in it counts
_PATIENCE: Final = 10.0  # s for a question, its turn included: a handshake waits for it


class Verdict(Enum):
    WELCOME = "welcome"
    UNKNOWN = "user unknown"
    BLOCKED = "user blocked"
    UNCERTAIN = "user check does not answer"


class UserCheck(Protocol):
    async def __call__(self, user_id: str) -> Verdict: ...

    async def aclose(self) -> None: ...


class ClaimsOnly:
    """Accepts every user that a valid token names."""

    async def __call__(self, user_id: str) -> Verdict:
        return Verdict.WELCOME

    async def aclose(self) -> None:
        """Nothing to close."""


class HttpUserCheck:
    """Asks ``GET <url>/<user_id>``: 200 exists, 404 unknown, 403 blocked. Equal questions are asked once at a time.

    an answer within ``ttl`` seconds ....... holds
    an older one, welcome .................. lets in at once, while it is asked anew; ``dismiss`` if that was wrong
    an older one, unknown or blocked ....... is asked anew, and waited for: a client that is told so never comes back
    a ``ttl`` of 0 ......................... every answer is waited for
    no answer .............................. the last known one holds, and ``strangers`` tells what becomes of others

    Args:
        dismiss: told who was let in and should not have been, and why.
        trusted: whom to believe over TLS, as httpx's ``verify``.
    """

    _ANSWERS: Final = {200: Verdict.WELCOME, 404: Verdict.UNKNOWN, 403: Verdict.BLOCKED}

    def __init__(
        self,
        url: str,
        ttl: float,
        strangers: Verdict,
        dismiss: Callable[[str, Verdict], None] = lambda *_: None,
        trusted: ssl.SSLContext | bool = True,
    ) -> None:
        self._url, self._ttl, self._strangers, self._dismiss = url.rstrip("/"), ttl, strangers, dismiss
        self._known: dict[str, tuple[float, Verdict]] = {}
        self._asking: SingleFlight[str, Verdict | None] = SingleFlight(self._ask, "user check")
        self._turns = asyncio.Semaphore(_AT_ONCE)  # httpx's own pool would fail those who wait
        self._client = httpx.AsyncClient(
            timeout=_TIMEOUT, limits=httpx.Limits(max_connections=_AT_ONCE), verify=trusted
        )

    async def __call__(self, user_id: str) -> Verdict:
        since, known = self._known.get(user_id, (float("-inf"), None))
        if known is not None and time.monotonic() - since < self._ttl:
            return known
        if known is Verdict.WELCOME and self._ttl > 0:
            self._asking.start(user_id)
            return known
        return await self._asking.answer(user_id) or known or self._strangers

    async def _ask(self, user_id: str) -> Verdict | None:
        try:
            async with asyncio.timeout(_PATIENCE), self._turns:
                status = await self._status(f"{self._url}/{quote(user_id, safe='')}")
        except (httpx.HTTPError, TimeoutError) as exc:
            logger.warning("user check failed", extra={"error": repr(exc)})
            return None
        verdict = self._ANSWERS.get(status)
        if verdict is None:
            logger.warning("user check failed", extra={"error": f"it answered {status}"})
            return None
        _, before = self._known.get(user_id, (0, None))
        self._remember(user_id, verdict)
        if before is Verdict.WELCOME and verdict is not Verdict.WELCOME:
            self._dismiss(user_id, verdict)
        return verdict

    async def _status(self, url: str) -> int:
        """Return the status of the answer. Its body is read if it is small, so that the connection can go on."""
        async with self._client.stream("GET", url) as response:
            size = 0
            async for part in response.aiter_raw():
                size += len(part)
                if size > _BODY_MAX:
                    break
            return response.status_code

    def _remember(self, user_id: str, verdict: Verdict) -> None:
        self._known.pop(user_id, None)  # re-inserted, so that the dict's order is the answers' age
        if len(self._known) >= _REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[user_id] = (time.monotonic(), verdict)

    async def aclose(self) -> None:
        await self._asking.aclose()
        await self._client.aclose()


def user_check_from(settings: NodeSettings, dismiss: Callable[[str, Verdict], None]) -> UserCheck:
    if settings.user_check_url is None:
        return ClaimsOnly()
    strangers = Verdict.WELCOME if settings.user_check_strangers == "accept" else Verdict.UNCERTAIN
    return HttpUserCheck(settings.user_check_url, settings.user_check_ttl, strangers, dismiss, trusted=settings.trusted)
