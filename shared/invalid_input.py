"""The answer to input that FastAPI finds invalid."""

from __future__ import annotations

import json

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError


async def invalid_input(_: Request, exc: Exception) -> Response:
    """Answer 422 with where it is wrong and why; the application's handler of ``RequestValidationError``.

    FastAPI's own repeats what was sent, and fails if that is ``NaN`` or half a surrogate pair: its reader takes both.
    """
    assert isinstance(exc, RequestValidationError)
    detail = [
        {"type": error["type"], "loc": error["loc"], "msg": error["msg"].removeprefix("Value error, ")}
        for error in exc.errors()
    ]
    return Response(json.dumps({"detail": detail}), 422, media_type="application/json")
