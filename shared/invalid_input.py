"""The answer to input that is invalid, in words that its sender knows."""

from __future__ import annotations

import json
from typing import Final

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError

_OBJECT: Final = frozenset({"dict_type", "is_instance_of", "model_type", "model_attributes_type"})


def told(kind: str, message: str) -> str:
    """Return what pydantic says of an error, in words of JSON: a caller has no dictionaries, models or attributes."""
    return "Input should be an object" if kind in _OBJECT else message.removeprefix("Value error, ")


async def invalid_input(_: Request, exc: Exception) -> Response:
    """Answer 422 with where it is wrong and why; the application's handler of ``RequestValidationError``.

    FastAPI's own repeats what was sent, and fails if that is ``NaN`` or half a surrogate pair: its reader takes both.
    """
    assert isinstance(exc, RequestValidationError)
    detail = [
        {"type": error["type"], "loc": error["loc"], "msg": told(error["type"], error["msg"])} for error in exc.errors()
    ]
    return Response(json.dumps({"detail": detail}), 422, media_type="application/json")
