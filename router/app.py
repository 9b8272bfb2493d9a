"""The router's application: FastAPI's routes, and the lean ones beside them."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from fastapi import FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response

from router import bodies
from router.answers import ERRORS, answer_for
from router.cluster_api import ClusterApi
from router.lean_route import Handler, LeanRoute
from router.publish_api import PublishApi
from router.refusals import Refusals
from shared.api_page import add_api_page
from shared.asgi import BEARER, NO_TELEMETRY, PROBES, ASGIApp, Receive, Scope, Send
from shared.exposition import Exposition
from shared.http_times import HttpTimes
from shared.invalid_input import invalid_input
from shared.traced_http import TracedHttp
from shared.tracing import Tracing
from shared.version import VERSION

_DESCRIPTION = """\
Transcoders and other producers call this service; it reaches people's browsers over WebSocket.

Every call carries `Authorization: Bearer` with a service key, or with a JWT that has the scope: `publish` for posts,
`read` for reads, `admin` for deletes. A publish answers 202 once the message can no longer be lost. With an
`Idempotency-Key` (24 hours, per caller) a repeated call returns the first answer and sends nothing twice.

A fraction with more digits than a double has is rounded; of a name that an object has twice, the last one counts.
JSON that no browser could be sent is refused: numbers beyond a double's range, integers of more than 4,300 digits,
halves of surrogate pairs, more than 200 levels of nesting. In a batch each item is judged by itself in this too, and
also where it says `NaN` or `Infinity`, or is not UTF-8; a batch that is no JSON otherwise is 422 as a whole.
"""

_PUBLISH_ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"model": bodies.Refusal, "description": "No or a wrong credential"},
    403: {"model": bodies.Refusal, "description": "The scope `publish` is missing"},
    409: {"model": bodies.Refusal, "description": "The idempotency key was used with another body"},
    413: {
        "model": bodies.Refusal,
        "description": "Body or message too large, or a batch that would be kept in too many copies (64 MiB)",
    },
    422: {"model": bodies.Refusal, "description": "Invalid; names the field"},
    503: {"model": bodies.Unavailable, "description": "Redis does not answer: nothing was lost, send it again"},
}
_IDEMPOTENCY_HEADER = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            "description": "Makes the call safe to repeat for 24 hours, per caller. Of a batch, the items that have no "
            "`idempotency_key` of their own. Two that differ are 422, also if one is the `idempotency_key` in the body "
            "of a call with one message.",
        }
    ]
}


def create_app(
    publish: PublishApi,
    cluster: ClusterApi,
    exposition: Exposition,
    times: HttpTimes,
    refusals: Refusals,
    body_max_bytes: int,
    tracing: Tracing | None = None,
) -> ASGIApp:
    app = FastAPI(
        title="VideoSite Realtime: router",
        version=VERSION,
        description=_DESCRIPTION,
        telemetry=NO_TELEMETRY,
        docs_url=None,  # see add_api_page
        redoc_url=None,
        redirect_slashes=False,  # it would be to http, behind a proxy that ends TLS
        exception_handlers={RequestValidationError: invalid_input},
    )
    lean = _add_publishing(app, publish, refusals, body_max_bytes)
    app.include_router(cluster.routes())
    _add_health(app, exposition)
    add_api_page(app)
    _add_error_answers(app)
    others = times.measured(refusals.watched(app))

    async def with_lean_routes(scope: Scope, receive: Receive, send: Send) -> None:
        # Without FastAPI's layers, which would be a fifth of a publish's cost. FastAPI knows the routes for OpenAPI.
        route = lean.get(scope.get("path", "")) if scope.get("method") == "POST" else None
        if route is None:
            await others(scope, receive, send)
            return
        began_at, status = perf_counter(), 500
        try:
            status = await route.serve(scope, receive, send)
        except ERRORS as exc:
            answer = answer_for(exc)
            status = answer.status_code
            await answer(scope, receive, send)
        finally:
            times.add(scope, route.path, status, perf_counter() - began_at)

    return with_lean_routes if tracing is None else TracedHttp(with_lean_routes, tracing, fixed=lean.keys())


def _add_publishing(app: FastAPI, api: PublishApi, refusals: Refusals, body_max_bytes: int) -> dict[str, LeanRoute]:
    lean: dict[str, LeanRoute] = {}

    def add(path: str, handler: Handler, body: Any, answer: Any, status: int, summary: str) -> None:
        route = LeanRoute(
            f"/api/v1/{path}",
            handler,
            body=body,
            answer=answer,
            status=status,
            body_max_bytes=body_max_bytes,
            on_error=refusals.on_publish_error,
            summary=summary,
            tags=["publish"],
            responses=_PUBLISH_ERRORS,
            openapi_extra=_IDEMPOTENCY_HEADER,
            dependencies=[Security(BEARER, scopes=["publish"])],
        )
        app.router.routes.append(route)
        lean[route.path] = route

    one, many = bodies.Published, bodies.BatchResult
    add("messages", api.message, bodies.MessageRequest, one, 202, "Publish a message")
    add("notifications", api.notification, bodies.Notification, one, 202, "Publish a typed message")
    add("messages/batch", api.message_batch, bodies.MessageBatch, many, 200, "Publish many messages")
    add(
        "notifications/batch",
        api.notification_batch,
        bodies.NotificationBatch,
        many,
        200,
        "Publish many typed messages",
    )
    return lean


def _add_health(app: FastAPI, exposition: Exposition) -> None:
    @app.api_route("/healthz", methods=PROBES, include_in_schema=False)
    async def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @app.api_route("/readyz", methods=PROBES, include_in_schema=False)
    async def readyz() -> PlainTextResponse:
        # Ready even without Redis: callers should get the 503 with its key, not a refused connection.
        return PlainTextResponse("ready\n")

    @app.get("/metrics", include_in_schema=False)
    async def prometheus(request: Request) -> Response:
        text, media_type = await exposition.render(request.headers.get("accept", ""))
        return Response(text, media_type=media_type)


def _add_error_answers(app: FastAPI) -> None:
    async def answer(_: Request, exc: Exception) -> Response:
        return answer_for(exc)

    for kind in ERRORS:
        app.add_exception_handler(kind, answer)
