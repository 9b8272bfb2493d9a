"""The router's HTTP calls that the command line makes, and what each of its refusals means to a person."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from videosite_realtime_cli.errors import Refused, Unreachable
from videosite_realtime_cli.settings import RouterAccess, is_loopback

Json = Mapping[str, Any]

_TIMEOUT = 5.0
_TRIES = 3
_PAUSE = 0.5


class RouterApi:
    """A router, for a caller with a key. A context manager.

    All calls raise ``Unreachable`` when nobody answers, or the router has no Redis, and ``Refused`` when it says no.
    """

    def __init__(self, access: RouterAccess, transport: httpx.BaseTransport | None = None) -> None:
        self._url = access.url
        self._http = httpx.Client(
            base_url=f"{access.url}/api/v1/",
            headers={"Authorization": f"Bearer {access.api_key}"},
            timeout=_TIMEOUT,
            trust_env=not is_loopback(access.url),
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._http.close()

    def stats(self) -> Json:
        return self._ask(self._http.build_request("GET", "stats"))

    def nodes(self) -> Json:
        return self._ask(self._http.build_request("GET", "nodes"))

    def notify(self, notification: Json) -> Json:
        """Publish one typed message; return the receipt."""
        return self._publish("notifications", notification)

    def send(self, audience: object, message: Json) -> Json:
        """Publish any message to an audience; return the receipt."""
        return self._publish("messages", {"audience": audience, "message": message})

    def _publish(self, path: str, body: Json) -> Json:
        # One key for all tries: what an unanswered try may have done is completed, not doubled.
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        for attempt in range(1, _TRIES):
            try:
                return self._ask(self._http.build_request("POST", path, json=body, headers=headers))
            except Unreachable as error:
                if isinstance(error.__cause__, httpx.ConnectError):
                    raise  # nobody is there: say so at once
                time.sleep(_PAUSE * attempt)
        return self._ask(self._http.build_request("POST", path, json=body, headers=headers))

    def _ask(self, request: httpx.Request) -> Json:
        try:
            answer = self._http.send(request)
        except httpx.TimeoutException as error:
            raise Unreachable(f"the router at {self._url} does not answer within {_TIMEOUT:g} s") from error
        except httpx.HTTPError as error:
            raise Unreachable(f"no router answers at {self._url}: {error}") from error
        body = _json(answer)
        if answer.is_success and isinstance(body, dict):
            return body
        raise _refusal(answer.status_code, body, self._url)


def _refusal(status: int, body: object, url: str) -> Refused | Unreachable:
    detail = _detail(body)
    match status:
        case 401:
            return Refused(f"the router at {url} does not accept this key: see ROUTER_API_KEY")
        case 403:
            return Refused(f"this key may not do that: {detail or 'it lacks the scope'}")
        case 413 | 422:
            return Refused(detail or f"the router answers HTTP {status}")
        case 503:
            return Unreachable(f"the router at {url} is up, but cannot serve just now: {detail or 'HTTP 503'}")
    return Refused(f"{url} answers HTTP {status}{f': {detail}' if detail else ''}: is that a router?")


def _detail(body: object) -> str:
    """Return a refusal's detail as one line: text as it is, a list of FastAPI's as ``field: what is wrong``."""
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, list):
        return "; ".join(_complaint(each) for each in detail)
    return str(detail) if detail else ""


def _complaint(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)
    field = ".".join(str(part) for part in error.get("loc", ()) if part not in ("body", "header", "path"))
    return f"{field}: {error.get('msg', 'is invalid')}" if field else str(error.get("msg", "invalid"))


def _json(answer: httpx.Response) -> object:
    try:
        return answer.json()
    except ValueError:
        return None
