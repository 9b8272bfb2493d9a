"""The route of the hot calls: whole bodies, bounded, however they come."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from router.lean_route import BodyTooLarge, Call, LeanRoute
from shared.asgi import Event

LIMIT = 1000


class Body(BaseModel):
    name: str


class Answer(BaseModel):
    length: int


class Handler:
    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def __call__(self, call: Call) -> tuple[int, bytes]:
        """Count the bytes."""
        self.calls.append(call)
        return 202, b'{"length":%d}' % len(call.body)


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
def app(handler: Handler) -> FastAPI:
    app = FastAPI()
    app.router.routes.append(LeanRoute("/x", handler, body=Body, answer=Answer, status=202, body_max_bytes=LIMIT))
    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://router") as client:
        yield client


async def in_chunks(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def serve(app: FastAPI, messages: Iterable[Event], headers: list[tuple[bytes, bytes]]) -> tuple[list[Event], int]:
    """Serve one request whose messages are given; return what was sent, and how many were taken."""
    queue, sent, taken = iter(messages), list[Event](), 0

    async def receive() -> Event:
        nonlocal taken
        taken += 1
        return next(queue)

    async def send(message: Event) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http", "method": "POST", "path": "/x", "raw_path": b"/x", "query_string": b"", "headers": headers,
        "root_path": "", "scheme": "http", "server": ("router", 80), "client": ("c", 1), "http_version": "1.1",
    }  # fmt: skip
    await app.router(scope, receive, send)
    return sent, taken


async def test_a_call_gets_its_handlers_status_and_json(client: httpx.AsyncClient, handler: Handler) -> None:
    answer = await client.post("/x?y=1", content="你好", headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()) == (202, {"length": 6})
    assert answer.headers["content-type"] == "application/json"
    (call,) = handler.calls
    assert (call.path, call.body, call.header(b"idempotency-key"), call.header(b"nothing")) == (
        "/x",
        "你好".encode(),
        "k",
        None,
    )


async def test_a_body_in_chunks_is_put_together(client: httpx.AsyncClient, handler: Handler) -> None:
    answer = await client.post("/x", content=in_chunks(b"a", b"", b"bc", b"d"))
    assert answer.json() == {"length": 4}
    assert handler.calls[0].body == b"abcd"


@pytest.mark.parametrize("size", [0, 1, LIMIT])
async def test_a_body_up_to_the_limit_is_taken(client: httpx.AsyncClient, size: int) -> None:
    assert (await client.post("/x", content=b"x" * size)).json() == {"length": size}
    assert (await client.post("/x", content=in_chunks(b"x" * (size // 2), b"x" * (size - size // 2)))).json() == {
        "length": size
    }


async def test_an_announced_body_beyond_the_limit_is_refused_unread(app: FastAPI, handler: Handler) -> None:
    with pytest.raises(BodyTooLarge):
        await serve(app, [], [(b"content-length", b"%d" % (LIMIT + 1))])
    assert handler.calls == []


@pytest.mark.parametrize("chunks", [[LIMIT + 1], [LIMIT, 1], [1, LIMIT], [500, 500, 1]])
@pytest.mark.parametrize("headers", [[], [(b"content-length", b"5")], [(b"content-length", b"x")]])
async def test_a_body_beyond_the_limit_is_refused_whatever_was_announced(
    app: FastAPI, handler: Handler, chunks: list[int], headers: list[tuple[bytes, bytes]]
) -> None:
    messages = [{"type": "http.request", "body": b"x" * size, "more_body": True} for size in chunks]
    messages[-1]["more_body"] = False
    with pytest.raises(BodyTooLarge) as caught:
        await serve(app, messages, headers)
    assert str(LIMIT) in str(caught.value)
    assert handler.calls == []


async def test_an_endless_body_is_read_no_further_than_the_limit(app: FastAPI) -> None:
    def endless() -> Iterable[Event]:
        for _ in range(100):
            yield {"type": "http.request", "body": b"x" * 100, "more_body": True}
        raise AssertionError("read on and on")

    with pytest.raises(BodyTooLarge):
        await serve(app, endless(), [])


async def test_a_client_that_leaves_amid_its_body_publishes_nothing(app: FastAPI, handler: Handler) -> None:
    messages = [{"type": "http.request", "body": b'{"a":1}', "more_body": True}, {"type": "http.disconnect"}]
    with contextlib.suppress(ClientDisconnect):  # or a quiet end
        await serve(app, messages, [])
    assert handler.calls == []


async def test_other_methods_are_refused(client: httpx.AsyncClient, handler: Handler) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        assert (await client.request(method, "/x")).status_code == 405
    assert handler.calls == []


def test_openapi_shows_body_and_answer(app: FastAPI) -> None:
    operation = app.openapi()["paths"]["/x"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Body"}
    assert operation["responses"]["202"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Answer"
    }
