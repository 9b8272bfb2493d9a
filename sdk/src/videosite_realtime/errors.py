"""What can go wrong when the browsers are to be told something, under one root.

NotificationError
├── ConfigurationError       ROUTER_URL or ROUTER_API_KEY is missing or unusable: nothing was sent
├── Undelivered              until the deadline the router was away or had no Redis: resend it later
├── UnexpectedAnswer         what answered does not speak like a router: look at ROUTER_URL
└── Refused                  the router said no: the same again would be refused again
    ├── AuthenticationError  401  the key or token is missing or wrong
    ├── PermissionDenied     403  the token lacks the scope
    ├── KeyReused            409  the idempotency key was used before, with another body
    ├── MessageTooLarge      413
    └── InvalidMessage       422  names the field
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from videosite_realtime.requests import Publish, PublishBatch, ReadStats


class NotificationError(Exception):
    """Root of everything this package raises on purpose."""


class ConfigurationError(NotificationError):
    """A setting is missing or unusable.

    Attributes:
        variable: the environment variable that would set it.
    """

    def __init__(self, variable: str, reason: str) -> None:
        self.variable, self.reason = variable, reason
        super().__init__(variable, reason)

    def __str__(self) -> str:
        return f"{self.variable} {self.reason}"


class Undelivered(NotificationError):
    """Until the deadline the router was away, or could not do it. It may have been done in part.

    Attributes:
        request: what was asked. ``resend(request)`` sends the same bytes under the same idempotency key: it completes
            what was begun and doubles nothing, within the 24 hours for which routers remember a key.
        attempts: how often it was tried.
        elapsed: s from the first attempt to giving up.
        last_cause: what became of the last attempt, in words.
    """

    def __init__(
        self, request: Publish | PublishBatch | ReadStats, attempts: int, elapsed: float, last_cause: str
    ) -> None:
        self.request, self.attempts, self.elapsed, self.last_cause = request, attempts, elapsed, last_cause
        super().__init__(request, attempts, elapsed, last_cause)

    @property
    def idempotency_key(self) -> str | None:
        """The message's key; None for a batch, whose items have their own, and for a read."""
        return self.request.idempotency_key

    def __str__(self) -> str:
        times = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        key = f"; its idempotency key is {self.idempotency_key}" if self.idempotency_key else ""
        what = f"{self.request.method} {self.request.path}"
        return f"gave up on {what} after {times} in {self.elapsed:.1f} s: {self.last_cause}{key}"


class UnexpectedAnswer(NotificationError):
    """What answered does not speak like a router: a proxy's page, a redirect, another service.

    Attributes:
        status: HTTP status.
        excerpt: how the answer's body begins.
    """

    def __init__(self, status: int, excerpt: str) -> None:
        self.status, self.excerpt = status, excerpt
        super().__init__(status, excerpt)

    def __str__(self) -> str:
        return f"not a router's answer (HTTP {self.status}): {self.excerpt!r}; does ROUTER_URL name the router?"


class Refused(NotificationError):
    """The router said no, and would again.

    Attributes:
        status: HTTP status.
        detail: what the router said, as it said it.
    """

    def __init__(self, status: int, detail: Any) -> None:
        self.status, self.detail = status, detail
        super().__init__(status, detail)

    def __str__(self) -> str:
        return f"the router refused with {self.status}: {self.detail}"


class AuthenticationError(Refused):
    """The service key or token is missing, wrong or expired."""


class PermissionDenied(Refused):
    """The token lacks the scope."""


class KeyReused(Refused):
    """The idempotency key was used before, with another body: the message of that body stands."""


class MessageTooLarge(Refused):
    """The message, or the batch as a whole, is larger than the router takes."""


class InvalidMessage(Refused):
    """The message is not one that may be sent, as the router judged it, or this package before sending.

    Attributes:
        field: dotted path of the offending field; "" if the router named none.
        reason: what is wrong with it.
    """

    @property
    def field(self) -> str:
        return _field_and_reason(self.detail)[0]

    @property
    def reason(self) -> str:
        return _field_and_reason(self.detail)[1]

    def __str__(self) -> str:
        return f"invalid message: {self.field}: {self.reason}" if self.field else f"invalid message: {self.reason}"


_BY_STATUS: Final[dict[int, type[Refused]]] = {
    401: AuthenticationError,
    403: PermissionDenied,
    409: KeyReused,
    413: MessageTooLarge,
    422: InvalidMessage,
}


def refused(status: int, detail: Any) -> Refused:
    """Return the error that fits a status."""
    return _BY_STATUS.get(status, Refused)(status, detail)


def _field_and_reason(detail: Any) -> tuple[str, str]:
    """Read "field: reason", or FastAPI's list of ``{"loc": […], "msg": …}``, of which the first counts."""
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        path = [str(part) for part in detail[0].get("loc", ()) if part not in ("body", "header")]
        return ".".join(path), str(detail[0].get("msg", ""))
    field, colon, reason = str(detail).partition(": ")
    return (field, reason) if colon and " " not in field else ("", str(detail))
