"""The inbox's routes on a node without an inbox."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException


def routes_without_inbox() -> APIRouter:
    """Return routes that answer 404. Not 503: asking again would not help."""
    routes = APIRouter(prefix="/api/v1/notifications", include_in_schema=False)

    @routes.api_route("", methods=["GET", "POST", "DELETE"])
    @routes.api_route("/{rest:path}", methods=["GET", "POST", "DELETE"])
    async def none(rest: str = "") -> None:
        raise HTTPException(404, "there is no inbox here: DATABASE_URL is off")

    return routes
