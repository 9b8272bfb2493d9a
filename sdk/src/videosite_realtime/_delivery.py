"""How a request is brought to the router: a conversation without I/O, shared by both services.

``deliver`` is a generator that says what to do and is told what came of it:

    Send   do this HTTP exchange; it is sent the response, or the exception that took its place
    Wait   let this time pass; it is sent None

| what came                                   | what follows                                     |
| ------------------------------------------- | ------------------------------------------------ |
| 2xx                                         | the request's result                             |
| nothing legible, 429, 502, 503, 504         | Wait, Send again; past the deadline `Undelivered` |
| 4xx, 500                                    | `Refused`, by status                             |
| anything that no router says                | `UnexpectedAnswer`                               |
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from videosite_realtime._access import RouterAccess
from videosite_realtime._tracing import Call
from videosite_realtime.errors import Undelivered, UnexpectedAnswer, refused
from videosite_realtime.requests import Request
from videosite_realtime.retry import RETRIED_STATUSES, RetryPolicy

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Send:
    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)  # the key is among them
    content: bytes | None
    timeout: httpx.Timeout


@dataclass(frozen=True, slots=True)
class Wait:
    seconds: float


Outcome = httpx.Response | httpx.RequestError
Delivery = Generator[Send | Wait, Outcome | None, T]


def deliver(
    request: Request[T],
    access: RouterAccess,
    retry: RetryPolicy,
    call: Call,
    *,
    clock: Callable[[], float] = time.monotonic,
    jitter: Callable[[], float] = random.random,
) -> Delivery[T]:
    """Bring a request to the router, whatever number of attempts it takes within the deadline.

    Raises:
        Undelivered: the deadline came first.
        Refused: the router said no.
        UnexpectedAnswer: it was not a router that answered.
    """
    started = clock()
    headers = _headers(request, access) | call.headers()  # once: all attempts belong to one span
    content = None if request.body is None else request.body.encode()
    failures = 0
    while True:
        left = max(retry.deadline - (clock() - started), 0.1)  # waits may overshoot
        timeout = httpx.Timeout(min(retry.attempt_timeout, left), connect=retry.connect_timeout, pool=left)
        outcome = yield Send(request.method, access.url + request.path, headers, content, timeout)
        assert outcome is not None, "a Send is answered with its outcome"
        if isinstance(outcome, httpx.Response) and outcome.status_code not in RETRIED_STATUSES:
            return _result(request, outcome)
        failures += 1
        delay = retry.delay(failures, _retry_after(outcome), jitter())
        elapsed = clock() - started
        if elapsed + delay >= retry.deadline:
            # Unable to be more patient than the deadline, rather tell the caller now than after another wait.
            cause = outcome if isinstance(outcome, Exception) else None
            raise Undelivered(request, failures, elapsed, _in_words(outcome)) from cause  # type: ignore[arg-type]
        call.retried(failures, _kind(outcome), delay)
        yield Wait(delay)


def _headers(request: Request[object], access: RouterAccess) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {access.api_key}", "Accept": "application/json"}
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    if request.idempotency_key is not None:
        headers["Idempotency-Key"] = request.idempotency_key
    return headers


def _result(request: Request[T], response: httpx.Response) -> T:
    try:
        answer = response.json()
        if response.is_success:
            return request.read(answer)
        detail = answer["detail"]
    except (ValueError, LookupError, TypeError) as exc:
        raise UnexpectedAnswer(response.status_code, response.text[:200]) from exc
    raise refused(response.status_code, detail)


def _retry_after(outcome: Outcome) -> float:
    """Return the seconds the router asked for; 0 if none, or if it gave a date, which no router of ours does."""
    if isinstance(outcome, Exception):
        return 0.0
    text = outcome.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _kind(outcome: Outcome) -> str:
    return type(outcome).__name__ if isinstance(outcome, Exception) else str(outcome.status_code)


def _in_words(outcome: Outcome) -> str:
    if isinstance(outcome, Exception):
        return f"{type(outcome).__name__}: {outcome}" if str(outcome) else type(outcome).__name__
    return f"HTTP {outcome.status_code} {outcome.reason_phrase}: {_detail(outcome)}"


def _detail(response: httpx.Response) -> Any:
    try:
        return response.json()["detail"]
    except (ValueError, LookupError, TypeError):
        return response.text[:200]
