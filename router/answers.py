"""Maps each error to its HTTP answer: one table, for FastAPI's routes and for the lean ones."""

from __future__ import annotations

from typing import Any, Final

from fastapi.responses import JSONResponse
from pydantic import ValidationError

from router.callers import NotAllowed
from router.lean_route import BodyTooLarge
from router.operations import KeyReused
from router.placement import VolumeTooLarge
from router.planning import MessageTooLarge, explain
from router.publish_api import PublishUnavailable
from shared.errors import DatabaseError, InvalidMessage, KeysUnavailable, RedisError

_RETRY_AFTER: Final = {"Retry-After": "2"}
_STATUSES: Final[dict[type[Exception], int]] = {
    ValidationError: 422,
    InvalidMessage: 422,
    BodyTooLarge: 413,
    MessageTooLarge: 413,
    VolumeTooLarge: 413,
    KeyReused: 409,
    PublishUnavailable: 503,
    RedisError: 503,
    KeysUnavailable: 503,
    DatabaseError: 503,
}
ERRORS: Final[tuple[type[Exception], ...]] = (NotAllowed, *_STATUSES)


def status_of(exc: Exception) -> int:
    """Return the HTTP status for one of ``ERRORS``."""
    if isinstance(exc, NotAllowed):
        return exc.status
    return next((status for kind, status in _STATUSES.items() if isinstance(exc, kind)), 500)


def answer_for(exc: Exception) -> JSONResponse:
    """Return the HTTP answer for one of ``ERRORS``."""
    if isinstance(exc, NotAllowed):
        headers = {"WWW-Authenticate": "Bearer"} if exc.status == 401 else None
        return JSONResponse({"detail": str(exc)}, exc.status, headers)
    status = status_of(exc)
    body: dict[str, Any] = {"detail": explain(exc) if isinstance(exc, ValidationError | InvalidMessage) else str(exc)}
    if isinstance(exc, PublishUnavailable):
        body["operation_key"] = exc.operation_key
    return JSONResponse(body, status, _RETRY_AFTER if status == 503 else None)
