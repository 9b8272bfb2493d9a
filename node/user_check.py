"""Whether a token's user still exists: claims only by default, or the platform's own HTTP endpoint."""

from __future__ import annotations

import logging
import time
from enum import Enum
from typing import Final, Protocol
from urllib.parse import quote

import httpx

from node.settings import NodeSettings

logger = logging.getLogger(__name__)

_REMEMBERED: Final = 100_000  # answers kept; the oldest go first
_TIMEOUT: Final = 3.0  # s


class Verdict(Enum):
    WELCOME = "welcome"
    UNKNOWN = "user unknown"
    BLOCKED = "user blocked"
    UNCERTAIN = "user check is down"


class UserCheck(Protocol):
    async def __call__(self, user_id: str) -> Verdict: ...

    async def aclose(self) -> None: ...


class ClaimsOnly:
    """Believes the token."""

    async def __call__(self, user_id: str) -> Verdict:
        return Verdict.WELCOME

    async def aclose(self) -> None:
        """Nothing to close."""


class HttpUserCheck:
    """Asks ``GET <url>/<user_id>``: 200 exists, 404 unknown, 403 blocked.

    Answers hold for ``ttl`` seconds; while the endpoint is down the last known answer holds, and strangers are let in
    or not (``strangers``).
    """

    _ANSWERS: Final = {200: Verdict.WELCOME, 404: Verdict.UNKNOWN, 403: Verdict.BLOCKED}

    def __init__(self, url: str, ttl: float, strangers: Verdict) -> None:
        self._url, self._ttl, self._strangers = url.rstrip("/"), ttl, strangers
        self._known: dict[str, tuple[float, Verdict]] = {}
        self._client = httpx.AsyncClient(timeout=_TIMEOUT)

    async def __call__(self, user_id: str) -> Verdict:
        known = self._known.get(user_id)
        if known is not None and time.monotonic() - known[0] < self._ttl:
            return known[1]
        try:
            response = await self._client.get(f"{self._url}/{quote(user_id, safe='')}")
            verdict = self._ANSWERS[response.status_code]
        except (httpx.HTTPError, KeyError) as exc:
            logger.warning("user check failed", extra={"error": repr(exc)})
            return known[1] if known is not None else self._strangers
        self._remember(user_id, verdict)
        return verdict

    def _remember(self, user_id: str, verdict: Verdict) -> None:
        self._known.pop(user_id, None)  # re-inserted, so that the dict's order is the answers' age
        if len(self._known) >= _REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[user_id] = (time.monotonic(), verdict)

    async def aclose(self) -> None:
        await self._client.aclose()


def user_check_from(settings: NodeSettings) -> UserCheck:
    if settings.user_check_url is None:
        return ClaimsOnly()
    strangers = Verdict.WELCOME if settings.user_check_strangers == "accept" else Verdict.UNCERTAIN
    return HttpUserCheck(settings.user_check_url, settings.user_check_ttl, strangers)
