"""The node's FastAPI application, and the small one of its management port."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.requests import ClientDisconnect

from node.handshake import ADMIN_PATH, USER_PATH, Handshake
from node.rest_api import RestApi
from shared import trace_context
from shared.api_page import add_api_page
from shared.asgi import GONE, NO_TELEMETRY, PROBES, ASGIApp, Receive, Scope, Send
from shared.errors import RedisError
from shared.exposition import Exposition
from shared.headers import header
from shared.http_times import HttpTimes
from shared.invalid_input import invalid_input
from shared.traced_http import TracedHttp
from shared.tracing import Tracing
from shared.version import VERSION

NotReady = Callable[[], str | None]


def create_app(
    handshake: Handshake,
    rest: RestApi,
    events: APIRouter,
    inbox: APIRouter,
    health: APIRouter,
    page: ASGIApp,
    times: HttpTimes,
    *,
    origins: list[str],
    body_max_bytes: int,
    tracing: Tracing | None = None,
) -> ASGIApp:
    app = FastAPI(
        title="VideoSite Realtime: connection node",
        version=VERSION,
        description="Browsers connect to `/api/v1/ws?token=…` and `/api/v1/ws/admin?token=…` over WebSocket.",
        telemetry=NO_TELEMETRY,
        max_body_size=body_max_bytes,
        docs_url=None,  # see add_api_page
        redoc_url=None,
        redirect_slashes=False,  # it would be to http, behind a proxy that ends TLS
        exception_handlers={RequestValidationError: invalid_input},
    )
    app.include_router(rest.routes())
    app.include_router(events)
    app.include_router(inbox)
    app.include_router(health)
    add_api_page(app)
    for path in (USER_PATH, ADMIN_PATH):
        app.get(path, include_in_schema=False)(_not_upgraded)
    not_found = app.router.default

    async def page_or_not_found(scope: Scope, receive: Receive, send: Send) -> None:
        await (not_found if scope["path"].startswith("/api/") else page)(scope, receive, send)

    # Not mounted at "/": that would match every path, and a call with a wrong method would no longer be 405.
    app.router.default = page_or_not_found

    @app.exception_handler(RedisError)
    async def away(_: Request, exc: RedisError) -> JSONResponse:
        return JSONResponse({"detail": str(exc)}, 503, {"Retry-After": "2"})

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, exc: ClientDisconnect) -> Response:
        return Response(status_code=GONE)  # it hung up in its body: no fault of ours, and no news

    # Around FastAPI, not among its middleware: otherwise browsers would see its own 413 and 500 as CORS errors.
    http = times.measured(
        CORSMiddleware(
            _without_large_bodies(app, body_max_bytes),
            allow_origins=origins,
            allow_credentials=True,
            allow_methods=["*"],
            allow_headers=["*"],
        )
    )

    async def api(scope: Scope, receive: Receive, send: Send) -> None:
        trace_context.continued(header(scope.get("headers", ()), b"traceparent"))
        await http(scope, receive, send)

    calls = api if tracing is None else TracedHttp(api, tracing)

    async def with_sockets(scope: Scope, receive: Receive, send: Send) -> None:
        # Upgrades go straight to the handshake: FastAPI's layers would make up a fifth of its cost.
        if scope["type"] == "websocket":
            await handshake(scope, receive, send)
        else:
            await calls(scope, receive, send)

    return with_sockets


async def _not_upgraded() -> JSONResponse:
    """Answer 426: a 404 would make people check the path instead of the proxy that removed the header."""
    detail = "this is a WebSocket, and the request has no `Upgrade: websocket`; if its client sent one, a proxy took it"
    return JSONResponse({"detail": detail}, 426, {"Upgrade": "websocket", "Connection": "Upgrade"})


def _without_large_bodies(app: ASGIApp, limit: int) -> ASGIApp:
    """Answer 413 in JSON to a ``Content-Length`` beyond the limit; FastAPI does so only for chunked bodies."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > limit:
            await JSONResponse({"detail": f"the body is larger than {limit} bytes"}, 413)(scope, receive, send)
        else:
            await app(scope, receive, send)

    return refuse


def create_management_app(health: APIRouter, times: HttpTimes) -> ASGIApp:
    app = FastAPI(telemetry=NO_TELEMETRY, openapi_url=None)
    app.include_router(health)
    return times.measured(app)


def health_routes(exposition: Exposition, not_ready: NotReady) -> APIRouter:
    """Return liveness, readiness and metrics. An ingress never publishes them."""
    routes = APIRouter(include_in_schema=False)

    @routes.api_route("/healthz", methods=PROBES)
    async def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @routes.api_route("/readyz", methods=PROBES)
    async def readyz() -> PlainTextResponse:
        reason = not_ready()
        return PlainTextResponse("ready\n") if reason is None else PlainTextResponse(f"{reason}\n", 503)

    @routes.get("/metrics")
    async def prometheus(request: Request) -> Response:
        text, media_type = await exposition.render(request.headers.get("accept", ""))
        return Response(text, media_type=media_type)

    return routes
