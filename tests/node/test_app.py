"""The node's HTTP side as a browser's page from elsewhere sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Request

from node.admin_page import not_built
from node.app import create_app
from node.callers import Callers
from node.no_inbox import routes_without_inbox
from node.rest_api import RestApi
from shared.asgi import ASGIApp
from shared.http_times import HttpTimes

PAGE = "https://admin.example.com"
LIMIT = 1000


@pytest.fixture
def app() -> ASGIApp:
    """A node, one of whose routes fails."""
    routes = APIRouter()

    @routes.get("/fails")
    async def fails() -> None:
        raise RuntimeError("nobody foresaw this")

    @routes.post("/reads")
    async def reads(request: Request) -> int:
        return len(await request.body())

    nothing: Any = None
    rest = RestApi(nothing, Callers(nothing, nothing, nothing, nothing), nothing, nothing, router_url=None)
    more = APIRouter(), routes_without_inbox()
    return create_app(nothing, rest, *more, routes, not_built, HttpTimes(), origins=[PAGE], body_max_bytes=LIMIT)


@pytest.fixture
async def page(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """A page of another origin that calls a node."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://node", headers={"Origin": PAGE}) as client:
        yield client


async def in_chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size):
        yield b"x"


async def test_a_body_up_to_the_limit_is_read(page: httpx.AsyncClient) -> None:
    for body in (b"x" * LIMIT, in_chunks(LIMIT)):
        assert (await page.post("/reads", content=body)).json() == LIMIT


async def test_a_page_can_read_why_its_body_is_refused(page: httpx.AsyncClient) -> None:
    for body in (b"x" * (LIMIT + 1), in_chunks(LIMIT + 1)):
        answer = await page.post("/reads", content=body)
        assert (answer.status_code, list(answer.json())) == (413, ["detail"])
        assert answer.headers["access-control-allow-origin"] == PAGE


async def test_a_caller_that_hangs_up_in_its_body_is_no_error_of_the_nodes(app: ASGIApp) -> None:
    scope = {
        "type": "http",
        "scheme": "http",
        "method": "POST",
        "path": "/reads",
        "raw_path": b"/reads",
        "query_string": b"",
        "headers": [],
    }
    heard = [{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return heard.pop(0)

    async def send(event: Any) -> None:
        sent.append(event)

    await app(scope, receive, send)
    assert sent[0]["status"] == 499


async def test_a_page_can_read_that_the_node_failed(page: httpx.AsyncClient) -> None:
    answer = await page.get("/fails")
    assert answer.status_code == 500
    assert answer.headers["access-control-allow-origin"] == PAGE


async def test_a_page_from_elsewhere_cannot(page: httpx.AsyncClient) -> None:
    answer = await page.get("/fails", headers={"Origin": "https://evil.example.com"})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/api/v1/ws", "/api/v1/ws/admin"])
async def test_a_socket_whose_upgrade_was_lost_on_its_way_is_told_so(page: httpx.AsyncClient, path: str) -> None:
    answer = await page.get(path, params={"token": "x"})
    assert answer.status_code == 426
    assert (answer.headers["upgrade"], answer.headers["connection"]) == ("websocket", "Upgrade")
    assert "a proxy took it" in answer.json()["detail"]
